"""What a sweep looks like in the terminal: a banner, a live line, a line per finished trial, the leaderboard."""

import json
import time
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from orchestrator.cli.banner import data_lines
from orchestrator.cli.console import messages, print_json, results
from orchestrator.errors import Interrupted
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    SweepEnded,
    SweepStarted,
    SweepTracked,
    TrialEnded,
    TrialStarted,
)
from orchestrator.leaderboard import (
    LeaderboardRow,
    few_groups_note,
    format_interval,
    format_metric,
    leaderboard,
    score_columns,
)
from orchestrator.plan import SweepPlan
from orchestrator.space import Choice, Fixed, Parameter
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState, TrialState
from trainables.evaluation.metrics import is_better

TOP_ROWS = 10


class DataProgress:
    """A bar while images are read and decoded; silent when that takes no time or nobody watches."""

    def __init__(self) -> None:
        self._console = messages()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show how far a step is; called from the thread that began it."""
        key = f"{what}-{of}"
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(f"{what} images", total=of)
            self._progress.start()
        self._progress.update(self._tasks[key], completed=done)
        if done == of:
            self._progress.stop()

    def __enter__(self) -> Self:
        """Return itself; the bar appears with the first step."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bar away."""
        self._progress.stop()


class SweepProgress:
    """Hear every journal event; show a live line on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = messages()
        self._live = Progress(
            SpinnerColumn(), TimeElapsedColumn(), BarColumn(bar_width=12), MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=self._console, transient=True, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task: TaskID | None = None
        self._state: SweepState | None = None
        self._running: dict[int, int] = {}  # trial -> epochs trained
        self._done = 0
        self._best: TrialState | None = None
        self._began_s = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Fold one event in and show what changed."""
        if isinstance(event, SweepStarted):
            self._state = SweepState(started=event)
            self._say_banner(event)
            self._live.start()
            self._task = self._live.add_task("starting", total=event.plan.budget.trials)
        assert self._state is not None
        self._state.apply(event)
        if isinstance(event, TrialEnded):
            self._say_trial(self._state, event)
        elif isinstance(event, FinalistEvaluated):
            metric = self._state.plan.metric
            value, bounds = event.test.get(metric), event.test_intervals.get(metric, (None, None))
            self._say(f"finalist {event.trial}: test {metric} {format_interval((value, *bounds))}")
        elif isinstance(event, FoldEvaluated) and event.fold > 0:
            value = event.validation.get(self._state.plan.metric)
            self._say(
                f"finalist {event.trial}, fold {event.fold + 1}: {self._state.plan.metric} {format_metric(value)}"
            )
        elif isinstance(event, SweepTracked) and event.registered is None:
            self._say(f"not registered: {event.fault}")
        elif isinstance(event, SweepEnded):
            self._live.stop()
        if self._task is not None and self._console.is_terminal:
            self._show_line(self._state, event)

    def __enter__(self) -> Self:
        """Return itself; the live line appears when the sweep starts."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the live line away; say what was kept of an interrupted sweep."""
        self._live.stop()
        if isinstance(error, Interrupted | KeyboardInterrupt) and self._state is not None:
            self._say(
                f"interrupted; {len(self._state.trials)} trials are kept in the journal and in MLflow as "
                f"{self._state.started.sweep_id}. Resuming is not built yet: run the sweep again to start anew."
            )

    def _say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=not self._console.is_terminal)

    def _say_banner(self, event: SweepStarted) -> None:
        plan = event.plan
        where = f"{event.slots} slots on {event.device}"
        preset = f"preset {plan.preset}" + (" (no GPU)" if event.device == "cpu" else "")
        self._say(f"{event.sweep_id}: {plan.task}, {preset}, {plan.weights} weights, {where}")
        self._say(
            f"{plan.budget.trials} trials of at most {plan.budget.epochs} epochs; best by validation {plan.metric}"
        )
        for line in data_lines(plan.data):
            self._say(line)

    def _say_trial(self, state: SweepState, event: TrialEnded) -> None:
        trial = state.trials[event.trial]
        metric = state.plan.metric
        best = format_metric(trial.validation.get(metric))
        self._say(f"trial {event.trial:>3} {trial.architecture}: {event.state}, best {metric} {best}; {event.reason}")

    def _show_line(self, state: SweepState, event: Event) -> None:
        """Update the live line; what it needs is kept up by each event, not counted anew."""
        assert self._task is not None
        if isinstance(event, TrialStarted):
            self._running[event.trial] = 0
        elif isinstance(event, EpochEnded):
            self._running[event.trial] = event.epoch
            trial = state.trials[event.trial]
            if self._best is None or is_better(trial.validation, self._best.validation, state.plan.metric):
                self._best = trial
        elif isinstance(event, TrialEnded):
            self._running.pop(event.trial, None)
            self._done += 1
        self._live.update(self._task, completed=self._done, description=self._line(state))

    def _line(self, state: SweepState) -> str:
        metric, total = state.plan.metric, state.plan.budget.trials
        parts = ["trials"]
        if self._best is not None:
            parts.append(
                f"best {metric} {format_metric(self._best.validation.get(metric))} (trial {self._best.number})"
            )
        if self._running:
            now = [f"{number}:{epoch}/{state.plan.budget.epochs}" for number, epoch in self._running.items()]
            parts.append(f"epochs {', '.join(now[:4])}")
        if self._done == total:
            parts.append("registering the winner" if state.winner is not None else "evaluating finalists")
        elif self._done:
            left_s = (time.monotonic() - self._began_s) / self._done * (total - self._done)
            parts.append(f"about {left_s:.0f} s left")
        return " · ".join(parts)


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
    if as_json:
        print_json(result.to_json())
        return
    state, console = result.state, results()
    show_rows(leaderboard([state]), state.plan.metric)
    tracked = state.tracked
    if tracked is not None and tracked.registered is not None:
        registered = tracked.registered
        aliases = ", ".join(registered.aliases) or "no alias"
        console.print(f"registered: {registered.name} version {registered.version} ({aliases})")
        console.print(f"next: orchestrate predict {registered.name} IMAGE...   or   orchestrate ui")
    else:
        console.print(f"not registered: {escape(tracked.fault if tracked else 'the sweep did not end')}")
    console.print(f"{result.wall_s:.0f} s; journal: {escape(str(result.folder / 'journal.jsonl'))}", soft_wrap=True)


def show_rows(rows: list[LeaderboardRow], metric: str) -> None:
    """Print the first rows of a leaderboard."""
    several = len({row.sweep_id for row in rows}) > 1
    columns = ["rank", *(["sweep"] if several else []), "trial", "architecture"]
    scores = score_columns(rows[:TOP_ROWS], metric)
    table = Table(*columns, *scores, "epochs", "state", box=None)
    for number, row in enumerate(rows[:TOP_ROWS]):
        table.add_row(
            str(row.rank),
            *([row.sweep_id] if several else []),
            str(row.trial_id),
            row.architecture + (" *" if row.is_winner else ""),
            *(escape(texts[number]) for texts in scores.values()),
            str(row.epochs),
            row.state,
        )
    console = results()
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
