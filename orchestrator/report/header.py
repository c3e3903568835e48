"""The top of the page: what was found in a few words, what to beware of, and the facts of the sweep."""

from collections import Counter
from collections.abc import Mapping

from orchestrator.ranking import LeaderboardRow, few_groups_note, format_metric, format_spread
from orchestrator.report.content import NONE, ReportContent, counted, duration, moment, title_of
from orchestrator.report.interval_bar import interval_bar
from orchestrator.report.markup import Markup, joined, tag
from orchestrator.sweep_state import SweepState
from trainables.catalog import TASKS


def state_in_words(state: SweepState) -> str:
    """Return how the sweep ended, or that it has not."""
    if state.ended is None:
        return "running or killed"
    return state.ended.state


def warnings_of(content: ReportContent) -> list[tuple[str, str]]:
    """Return severity ("bad" or "care") and words of everything that a reader of the scores must know."""
    state = content.state
    data = state.plan.data
    found = []
    if data.kind == "phantom":
        found.append(("bad", "Phantom data: synthetic images. No number on this page says anything about patients."))
    leaking, test = sum(data.leaks.values()), sum(data.images.get("test", {}).values())
    if leaking:
        why = ", ".join(f"{count:,} {reason}" for reason, count in data.leaks.items())
        words = f"{leaking:,} of {counted(test, 'test image')} leak: development has seen them or their likes ({why})."
        found.append(("bad", f"{words} Judge by the leak-free part."))
    if state.ended is None:
        found.append(("care", "The sweep had not ended when this page was written: ranks may change."))
    elif state.ended.state != "completed":
        found.append(("care", f"The sweep was {state.ended.state}. {state.ended.reason}".strip()))
    note = few_groups_note(content.rows)
    if note:
        found.append(("care", f"{note}."))
    if data.unreadable:
        found.append(("care", f"{counted(data.unreadable, 'image')} could not be read and were left out."))
    found += [("care", f"{name} was given up: {reason}") for name, reason in state.given_up.items()]
    failed = Counter(trial.reason for trial in state.trials.values() if trial.state == "failed")
    if failed:
        reason, _ = failed.most_common(1)[0]
        found.append(("care", f"{counted(failed.total(), 'trial')} failed, most often with: {reason}"))
    found += [("care", f"Of the data: {note}") for note in data.notes]
    return found


def draw_header(content: ReportContent) -> Markup:
    """Return title, warnings, the result, and the facts."""
    state = content.state
    plan = state.plan
    task = TASKS[plan.task].title if plan.task in TASKS else plan.task
    boxes = [tag("p", {"class": f"warning {severity}"}, words) for severity, words in warnings_of(content)]
    return tag(
        "header",
        {"id": "top"},
        tag("p", {"class": "kicker"}, "Sweep report"),
        tag("h1", None, state.started.sweep_id),
        tag("p", {"class": "task"}, task),
        joined(boxes),
        _result(content),
        _facts(content),
    )


def _result(content: ReportContent) -> Markup:
    """Return the winner with both scores; where there is none, the best so far, or that there is nothing."""
    state = content.state
    if not content.rows:
        return tag("p", {"class": "quiet"}, "No trial has a validation result yet.")
    row = next((row for row in content.rows if row.is_winner), content.rows[0])
    by = "its mean over seeds" if state.plan.seeds > 1 else "validation"
    what = f"Winner, chosen by {by}" if row.is_winner else "Best by validation so far"
    metric, name = content.metric, title_of(content.metric)
    validation_images = sum(state.plan.data.images.get("validation", {}).values())
    on = f"on {counted(validation_images, 'image')}; " if validation_images else ""
    cards = [
        _card(what, f"trial {row.trial_id}", row.architecture),
        _card(
            f"Validation {name}",
            format_metric(row.validation.get(metric)),
            f"{on}{_of_how_many(content, row)}",
        ),
    ]
    if row.test is None:
        cards.append(_card(f"Test {name}", NONE, "the test images were not used for this trial"))
    else:
        value, low, high = row.test.get(metric, (None, None, None))
        interval = "no interval" if low is None or high is None else f"95 % interval {low:.2f} to {high:.2f}"
        groups = f" from {counted(row.test_groups, 'group')}" if row.test_groups else ""
        cards.append(
            _card(
                f"Test {name}",
                format_metric(value),
                f"{interval}; {counted(row.test_images, 'image')}{groups}",
                interval_bar(metric, (value, low, high)),
            )
        )
    return tag("div", {"class": "cards"}, *cards)


def _card(title: str, value: str, words: str, picture: Markup | None = None) -> Markup:
    parts = (
        tag("span", {"class": "small"}, title),
        tag("b", None, value),
        picture,
        tag("span", {"class": "small"}, words),
    )
    return tag("div", {"class": "card"}, *parts)


def _of_how_many(content: ReportContent, row: LeaderboardRow) -> str:
    """Return what the winner's validation score is worth: its spread over seeds, else of how many it is the best."""
    if row.seeds and content.metric in row.seeds:
        return f"{format_spread(row.seeds[content.metric])} over seeds"
    return f"the best of {counted(len(content.state.trials), 'trial')}, so it flatters"


def _facts(content: ReportContent) -> Markup:
    facts = {**_about_run(content.state), **_about_search(content), **_about_data(content.state)}
    return tag(
        "dl",
        {"class": "facts"},
        *(tag("div", None, tag("dt", None, key), tag("dd", None, value)) for key, value in facts.items()),
    )


def _about_search(content: ReportContent) -> dict[str, str]:
    plan = content.state.plan
    states = Counter(trial.state for trial in content.state.trials.values())
    tried = ", ".join(f"{count} {name}" for name, count in states.most_common()) or "none yet"
    budget = plan.budget
    time = f", {duration(budget.time_s)} at most" if budget.time_s else ""
    allocation = f", {plan.search.allocation} allocation" if len(plan.architectures) > 1 else ""
    better = "higher" if plan.direction == "max" else "lower"
    seeds = f"; the winner by the mean over {plan.seeds} seeds of each finalist" if plan.seeds > 1 else ""
    return {
        "Trials": tried,
        "Budget": f"{counted(budget.trials, 'trial')} of at most {counted(budget.epochs, 'epoch')}, "
        f"{counted(budget.finalists, 'finalist')}{time}",
        "Architectures": ", ".join(plan.architectures),
        "Search": f"{plan.search.algorithm}, stopping by {plan.scheduler.name}{allocation}",
        "Decided by": f"validation {title_of(plan.metric)}, {better} is better{seeds}",
        "Weights": f"{plan.weights}, preset {plan.preset}, seed {plan.seed}",
    }


def _about_data(state: SweepState) -> dict[str, str]:
    data = state.plan.data
    folds = f", {data.folds} folds for finalists" if data.folds > 1 else ""
    return {
        "Data": "phantom (synthetic)" if data.kind == "phantom" else "real",
        "Images": "; ".join(f"{side} {_classes(counts)}" for side, counts in data.images.items()),
        "Split": f"{data.split}, grouped by {data.grouped_by}{folds}",
    }


def _classes(counts: Mapping[str, int]) -> str:
    return f"{sum(counts.values()):,} ({', '.join(f'{count:,} {name}' for name, count in counts.items())})"


def _about_run(state: SweepState) -> dict[str, str]:
    compute_s = sum(trial.compute_s for trial in state.trials.values())
    facts = {"State": state_in_words(state), "Began": moment(state.started.time)}
    if state.ended is not None:
        passed = duration(state.ended.time - state.started.time)
        facts["Ended"] = f"{moment(state.ended.time)}, {passed} later" + (", resumed between" if state.resumed else "")
    facts["Machine"] = (
        f"{counted(state.slots, 'slot')}, {state.resumed.device if state.resumed else state.started.device}"
    )
    facts["Training"] = f"{duration(compute_s)} in epochs, all trials together"
    registered = state.tracked.registered if state.tracked else None
    if registered is not None:
        aliases = f" ({', '.join(registered.aliases)})" if registered.aliases else ""
        facts["Registered"] = f"{registered.name} version {registered.version}{aliases}"
        if registered.decision:
            facts["Promotion"] = registered.decision
    elif state.tracked is not None:
        facts["Registered"] = "no"
    return facts
