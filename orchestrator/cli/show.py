"""What commands print of plans and results: the resolved plan, the leaderboard, what was registered."""

import json
from itertools import islice
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.cli.console import messages, print_json, results, visible
from orchestrator.plan import SweepPlan
from orchestrator.ranking import (
    LeaderboardRow,
    changes_text,
    few_groups_note,
    leaderboard,
    score_notes,
    settings_text,
    shown_columns,
    size_text,
)
from orchestrator.space import Choice, Fixed, Parameter
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState
from orchestrator.words import in_words
from trainables.catalog import TASKS

TOP_ROWS = 10
WIDE_COLUMNS, WIDEST_COLUMNS = 120, 160


def plan_json(plan: SweepPlan, slots: int) -> dict[str, Any]:
    """Return the resolved plan of --dry-run as plain values."""
    return {"plan": json.loads(plan.model_dump_json()), "plan_digest": plan.digest, "slots": slots}


def show_plan(plan: SweepPlan, slots: int) -> None:
    """Print the resolved plan of --dry-run."""
    console = results()
    about = f": task {plan.task}, preset {plan.preset}, seed {plan.seed}"
    console.print(Text.assemble((plan.sweep, "bold"), about))
    data = plan.data
    console.print(f"plan digest {plan.digest}; data {data.kind} {data.digest}, split {data.split_digest}")
    console.print(
        f"  {data.split} split, grouped by {data.grouped_by}, {data.folds} folds; leaks {data.leaks or 'none'}"
    )
    if plan.data.unreadable:
        console.print(f"  {plan.data.unreadable} images cannot be read and are left out")
    for side, counts in plan.data.images.items():
        console.print(f"  {side}: " + ", ".join(f"{count} {visible(name)}" for name, count in counts.items()))
    budget = plan.budget
    console.print(
        f"{budget.trials} trials of at most {budget.epochs} epochs on {slots} slots, {budget.finalists} finalists; "
        f"{plan.weights} weights; {plan.search.algorithm}, {plan.scheduler.name}; best by validation {plan.metric}"
    )
    if plan.seeds > 1:
        further = plan.seeds * budget.finalists
        console.print(
            f"{plan.seeds} seeds: {further} more trainings of finalists, at most {further * budget.epochs} epochs "
            f"beside the {budget.trials * budget.epochs} of the search; the best mean wins"
        )
    for architecture, space in plan.architectures.items():
        table = Table("hyperparameter", "searched", "trial 0", title=architecture, title_justify="left", box=None)
        for name, parameter in space.items():
            table.add_row(name, _shown(parameter), str(parameter.default))
        console.print(table)
    if plan.published_scores.scores:
        published = plan.published_scores
        table = Table("published", "architecture", published.metric, "settings", title_justify="left", box=None)
        for score in published.scores:
            table.add_row(visible(score.name), score.architecture, f"{score.score:g}", settings_text(score.settings))
        console.print(table)


def show_result(result: SweepResult, as_json: bool) -> None:
    """Print the leaderboard, what was registered and the next command to type."""
    state = result.state
    if as_json:
        print_json(result.to_json())
        if _why_not_registered(state):
            messages().print(_why_not_registered(state), soft_wrap=True)
        return
    console = results()
    show_rows(leaderboard([state]), state.plan.metric)
    if state.tracked is not None and state.tracked.registered is not None:
        registered = state.tracked.registered
        aliases = ", ".join(registered.aliases) or "no alias"
        console.print(f"registered: {registered.name} version {registered.version} ({aliases})")
        if registered.decision:
            console.print(f"promotion: {registered.decision}", soft_wrap=True)
        names = TASKS[state.plan.task].image_names
        images = "IMAGE..." if len(names) == 1 else f"--pair {' '.join(names)}"
        console.print(f"next: orchestrate predict {registered.name} {images}   or   orchestrate ui")
    else:
        console.print(_why_not_registered(state), soft_wrap=True)
    told = "not written; orchestrate report " + state.started.sweep_id if result.report is None else str(result.report)
    console.print(f"report: {told}", soft_wrap=True)
    console.print(f"{result.wall_s:.0f} s; journal: {result.folder / 'journal.jsonl'}", soft_wrap=True)


def _why_not_registered(state: SweepState) -> str:
    """Return the line that says why, and what registers the winner later; empty where it is registered."""
    if state.tracked is None:
        return "not registered: the sweep did not end"
    if state.tracked.registered is not None:
        return ""
    later = f"orchestrate sync {state.started.sweep_id} sends and registers it later"
    return f"not registered: {state.tracked.fault}; {later}"


def show_rows(rows: list[LeaderboardRow], metric: str, most: int = TOP_ROWS) -> None:
    """Print the first rows of a leaderboard."""
    columns = shown_columns(rows, metric, lambda row: row.architecture + (" *" if row.is_winner else ""))
    console = results()
    if console.width >= WIDE_COLUMNS:
        columns["size"] = [size_text(row.parameters) for row in rows]
        columns["time"] = [in_words(row.seconds) for row in rows]
        columns["changed"] = [changes_text(row) for row in rows]
    if console.width >= WIDEST_COLUMNS:
        columns["why it ended"] = [row.stop_reason for row in rows]
    table = Table(*columns, box=None)
    for texts in islice(zip(*columns.values(), strict=True), most):
        table.add_row(*map(visible, texts))
    console.print(table)
    if len(rows) > most:
        console.print(f"... and {len(rows) - most} more")
    winners = [row for row in rows if row.is_winner]
    if winners:
        by = ", by the mean over seeds where there are some" if any(row.seeds for row in winners) else ""
        console.print(f"* winner, chosen by validation{by}")
    for note in (few_groups_note(rows), *score_notes(rows, metric)):
        if note:
            console.print(note, soft_wrap=True)


def _shown(parameter: Parameter) -> str:
    if isinstance(parameter, Fixed):
        return "fixed"
    if isinstance(parameter, Choice):
        return "one of " + ", ".join(map(str, parameter.choices))
    scale = ", log" if parameter.log else ""
    return f"{parameter.low:g} to {parameter.high:g}{scale}"
