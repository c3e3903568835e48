"""What commands print of plans and results: the resolved plan, the leaderboard, what was registered."""

import json

from rich.markup import escape
from rich.table import Table

from orchestrator.cli.console import in_words, messages, print_json, results
from orchestrator.leaderboard import (
    LeaderboardRow,
    changes_text,
    few_groups_note,
    leaderboard,
    rank_text,
    score_columns,
)
from orchestrator.plan import SweepPlan
from orchestrator.space import Choice, Fixed, Parameter
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState

TOP_ROWS = 10
WIDE_COLUMNS = 120


def show_plan(plan: SweepPlan, slots: int, as_json: bool) -> None:
    """Print the resolved plan of --dry-run."""
    if as_json:
        print_json({"plan": json.loads(plan.model_dump_json()), "plan_digest": plan.digest, "slots": slots})
        return
    console = results()
    console.print(f"[bold]{escape(plan.sweep)}[/]: task {plan.task}, preset {plan.preset}, seed {plan.seed}")
    data = plan.data
    console.print(f"plan digest {plan.digest}; data {data.kind} {data.digest}, split {data.split_digest}")
    console.print(
        f"  {data.split} split, grouped by {data.grouped_by}, {data.folds} folds; leaks {data.leaks or 'none'}"
    )
    if plan.data.unreadable:
        console.print(f"  {plan.data.unreadable} images cannot be read and are left out")
    for side, counts in plan.data.images.items():
        console.print(f"  {side}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    budget = plan.budget
    console.print(
        f"{budget.trials} trials of at most {budget.epochs} epochs on {slots} slots, {budget.finalists} finalists; "
        f"{plan.weights} weights; {plan.search.algorithm}, {plan.scheduler.name}; best by validation {plan.metric}"
    )
    for architecture, space in plan.architectures.items():
        table = Table("hyperparameter", "searched", "trial 0", title=architecture, title_justify="left", box=None)
        for name, parameter in space.items():
            table.add_row(name, escape(_shown(parameter)), escape(str(parameter.default)))
        console.print(table)


def show_result(result: SweepResult, as_json: bool) -> None:
    """Print the leaderboard, what was registered and the next command to type."""
    state = result.state
    if as_json:
        print_json(result.to_json())
        if _why_not_registered(state):
            messages().print(_why_not_registered(state), markup=False, soft_wrap=True)
        return
    console = results()
    show_rows(leaderboard([state]), state.plan.metric)
    if state.tracked is not None and state.tracked.registered is not None:
        registered = state.tracked.registered
        aliases = ", ".join(registered.aliases) or "no alias"
        console.print(f"registered: {registered.name} version {registered.version} ({aliases})")
        console.print(f"next: orchestrate predict {registered.name} IMAGE...   or   orchestrate ui")
    else:
        console.print(_why_not_registered(state), markup=False, soft_wrap=True)
    told = "not written; orchestrate report " + state.started.sweep_id if result.report is None else str(result.report)
    console.print(f"report: {escape(told)}", soft_wrap=True)
    console.print(f"{result.wall_s:.0f} s; journal: {escape(str(result.folder / 'journal.jsonl'))}", soft_wrap=True)


def _why_not_registered(state: SweepState) -> str:
    """Return the line that says why, and what registers the winner later; empty where it is registered."""
    if state.tracked is None:
        return "not registered: the sweep did not end"
    if state.tracked.registered is not None:
        return ""
    later = f"orchestrate sync {state.started.sweep_id} sends and registers it later"
    return f"not registered: {state.tracked.fault}; {later}"


def show_rows(rows: list[LeaderboardRow], metric: str) -> None:
    """Print the first rows of a leaderboard."""
    several = len({row.sweep_id for row in rows}) > 1
    columns = ["rank", *(["sweep"] if several else []), "trial", "architecture"]
    scores = score_columns(rows[:TOP_ROWS], metric)
    console = results()
    is_wide = console.width >= WIDE_COLUMNS
    table = Table(*columns, *scores, "epochs", "state", *(["size", "time", "changed"] if is_wide else []), box=None)
    for number, row in enumerate(rows[:TOP_ROWS]):
        size = "-" if row.parameters is None else f"{row.parameters / 1e6:.1f} M"
        table.add_row(
            rank_text(row),
            *([row.sweep_id] if several else []),
            str(row.trial_id),
            row.architecture + (" *" if row.is_winner else ""),
            *(escape(texts[number]) for texts in scores.values()),
            str(row.epochs),
            row.state,
            *([size, in_words(row.seconds), escape(changes_text(row))] if is_wide else []),
        )
    console.print(table)
    if len(rows) > TOP_ROWS:
        console.print(f"... and {len(rows) - TOP_ROWS} more")
    if any(row.is_winner for row in rows):
        console.print("* winner, chosen by validation")
    note = few_groups_note(rows)
    if note:
        console.print(note)


def _shown(parameter: Parameter) -> str:
    if isinstance(parameter, Fixed):
        return "fixed"
    if isinstance(parameter, Choice):
        return "one of " + ", ".join(map(str, parameter.choices))
    scale = ", log" if parameter.log else ""
    return f"{parameter.low:g} to {parameter.high:g}{scale}"
