"""The live view of a sweep in a terminal: what it is, trials that train, the best ones, and how long it takes yet."""

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from orchestrator.cli.console import visible
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    SeedEvaluated,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.ranking import format_metric, rank_trials
from orchestrator.sweep_state import SweepState, TrialState
from orchestrator.words import in_words

BEST_ROWS = 5
OTHER_LINES = 14  # of the view beside its running trials, and of what is said above it
FEWEST_RUNNING_ROWS = 4
WIDE_COLUMNS = 110


@dataclass
class _Now:
    """What the view shows; written by the thread that hears events, read by the one that draws."""

    state: SweepState
    begun: dict[int, TrialState]  # and not ended: those that train, and those that will go on
    best: list[TrialState]
    ended: int
    running: dict[int, TrialState] = field(default_factory=dict)
    phase: Literal["trials", "finalists", "seeds", "folds", "registering"] = "trials"
    began_s: float | None = None
    fraction_before: float = 0.0  # of the trials' epochs, when this process began

    @property
    def fraction(self) -> float:
        """Return how much of all trials is trained, if each took all its epochs."""
        budget = self.state.plan.budget
        partly = sum(min(1.0, trial.last_epoch / budget.epochs) for trial in self.begun.values())
        return min(1.0, (self.ended + partly) / budget.trials) if budget.trials else 1.0


class LiveView:
    """What a sweep does just now; `hear` keeps it up to date, and a `rich.live.Live` draws it."""

    def __init__(self, data_name: str = "") -> None:
        self._data_name = data_name
        self._lock = threading.Lock()
        self._now: _Now | None = None

    def hear(self, event: Event, state: SweepState) -> None:
        """Take in one event; costs the same however many trials there are."""
        with self._lock:
            match event:
                case SweepStarted() | SweepResumed():
                    ended = sum(trial.has_ended for trial in state.trials.values())
                    best = rank_trials(list(state.trials.values()), state.plan.metric)[:BEST_ROWS]
                    begun = {number: trial for number, trial in state.trials.items() if not trial.has_ended}
                    self._now = _Now(state, begun, best, ended)
                case TrialStarted() if self._now is not None:
                    self._now.running[event.trial] = self._now.begun[event.trial] = state.trials[event.trial]
                    if self._now.began_s is None:
                        self._now.began_s, self._now.fraction_before = time.monotonic(), self._now.fraction
                case EpochEnded() if self._now is not None:
                    trial = state.trials[event.trial]
                    known = [one for one in self._now.best if one.number != trial.number]
                    self._now.best = rank_trials([*known, trial], state.plan.metric)[:BEST_ROWS]
                case TrialEnded() if self._now is not None:
                    self._now.running.pop(event.trial, None)
                    self._now.begun.pop(event.trial, None)
                    self._now.ended += 1
                    if self._now.ended >= state.plan.budget.trials:
                        self._now.phase = "finalists"
                case FinalistEvaluated() if self._now is not None:
                    self._now.phase = "finalists"
                case SeedEvaluated() if self._now is not None:
                    self._now.phase = "seeds"
                case WinnerChosen() if self._now is not None:
                    self._now.phase = "folds" if state.plan.data.folds > 1 else "registering"
                case FoldEvaluated() if self._now is not None:
                    folds = sum(len(known) for known in state.folds.values())
                    if folds >= state.plan.data.folds * len(state.finalists):
                        self._now.phase = "registering"
                case _:
                    pass

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the view as wide as the terminal is."""
        with self._lock:
            now = self._now
            if now is None:
                return
            rows = max(FEWEST_RUNNING_ROWS, console.height - OTHER_LINES - BEST_ROWS)
            is_wide = options.max_width >= WIDE_COLUMNS
            parts: list[Text | Table] = [_header(now), _asked(now, self._data_name), _total(now), Text()]
            if now.running:
                parts.append(_running(now, rows, is_wide))
            if now.best:
                parts += [Text(), _best(now, is_wide)]
        yield Group(*parts)


def _header(now: _Now) -> Text:
    """Return one line: which sweep, its task, architectures and slots."""
    plan = now.state.plan
    about = f"{plan.task} · {', '.join(plan.architectures)} · {now.state.slots} slots on {_device(now.state)}"
    line = _line(f"{now.state.started.sweep_id}  {about}")
    line.stylize("bold", 0, len(now.state.started.sweep_id))
    return line


def _asked(now: _Now, data_name: str) -> Text:
    """Return one line: the budget, then the data."""
    plan = now.state.plan
    budget = f"{plan.budget.trials} trials of at most {plan.budget.epochs} epochs"
    within = "" if plan.budget.time_s is None else f" within {in_words(plan.budget.time_s)}"
    about = f"{budget}{within} · {plan.data.kind} data {data_name}"
    return _line(about)


def _line(text: str) -> Text:
    """Return a line that is never two: its end is cut off where there is no room."""
    return Text(visible(text), no_wrap=True, overflow="ellipsis")


def _device(state: SweepState) -> str:
    return state.resumed.device if state.resumed else state.started.device


def _total(now: _Now) -> Table:
    """Return one line: a bar of all trials, slots busy, time left."""
    budget = now.state.plan.budget
    line = Table.grid(Column(no_wrap=True), Column(width=16), Column(), padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=now.fraction, width=16)
    line.add_row(f"{now.ended} of {budget.trials} trials", bar, _line(" · ".join(_doing(now))))
    return line


def _doing(now: _Now) -> list[str]:
    state = now.state
    match now.phase:
        case "registering":
            return ["sending to MLflow, registering the winner"]
        case "seeds":
            return [f"finalists: {state.plan.seeds} seeds are trained"]
        case "folds":
            return [f"finalists: {state.plan.data.folds} folds are trained"]
        case "finalists":
            return [f"finalists: {len(state.finalists)} of {state.plan.budget.finalists} evaluated"]
        case "trials":
            pass
    said = [f"{len(now.running)} of {state.slots} slots busy"]
    left_s = _left_s(now)
    if left_s is not None:
        said.append(f"about {in_words(left_s)} left")
    return said


def _left_s(now: _Now) -> float | None:
    """Return how long the trials still take, at the pace of this process so far; early stopping makes it shorter."""
    if now.began_s is None or now.fraction - now.fraction_before < 0.01:
        return None
    left_s = (time.monotonic() - now.began_s) / (now.fraction - now.fraction_before) * (1 - now.fraction)
    state = now.state
    if state.plan.budget.time_s is None:
        return left_s
    spent_s = state.spent_s + max(0.0, time.time() - state.heard_at)  # before an interruption, too
    return min(left_s, max(0.0, state.plan.budget.time_s - spent_s))


def _running(now: _Now, rows: int, is_wide: bool) -> Table:
    metric, epochs = now.state.plan.metric, now.state.plan.budget.epochs
    table = _table("training", "epoch", "", metric, "best", *(["s per epoch"] if is_wide else []))
    shown = list(now.running.values())[:rows]
    for trial in shown:
        last = trial.epochs[-1].metrics if trial.epochs else {}
        seconds = last.get("perf/epoch_s")
        table.add_row(
            str(trial.number), _line(trial.architecture), f"{trial.last_epoch:>{len(str(epochs))}}/{epochs}",
            ProgressBar(total=epochs, completed=min(trial.last_epoch, epochs), width=12),
            format_metric(last.get(f"val/{metric}")), format_metric(trial.validation.get(metric)),
            *(["-" if seconds is None else f"{seconds:.1f}"] if is_wide else []),
        )  # fmt: skip
    if len(now.running) > len(shown):
        table.add_row("", f"and {len(now.running) - len(shown)} more")
    return table


def _best(now: _Now, is_wide: bool) -> Table:
    metric = now.state.plan.metric
    table = _table("best so far", metric, "epochs", "state")
    if is_wide:
        table.add_column("why it ended")
    for trial in now.best:
        score = format_metric(trial.validation.get(metric))
        reason = [_line(trial.reason)] if is_wide else []
        table.add_row(
            str(trial.number),
            _line(trial.architecture),
            score,
            str(trial.last_epoch),
            trial.state,
            *reason,
        )
    return table


def _table(title: str, *further: str) -> Table:
    """Return a table whose first columns say which trial a row is of; where room is short, names are cut first."""
    about = Column("trial", justify="right", no_wrap=True), Column(title, max_width=34)
    table = Table(*about, box=None, header_style="dim", pad_edge=False)
    for name in further:
        table.add_column(name, justify="left" if name in ("", "state") else "right", no_wrap=True)
    return table
