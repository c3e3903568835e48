"""What a sweep looks like in the terminal: a banner, a live line, a line per finished trial, the leaderboard."""

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

from orchestrator.cli.banner import data_lines
from orchestrator.cli.console import in_words, messages
from orchestrator.journal import (
    ArchitectureChecked,
    ArchitectureGivenUp,
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    MicroBatchLimited,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    SweepTracked,
    TrialEnded,
    TrialStarted,
)
from orchestrator.leaderboard import (
    format_interval,
    format_metric,
)
from orchestrator.open_sweep import Notice
from orchestrator.sweep_state import SweepState, TrialState
from trainables.evaluation.metrics import is_better


class DataProgress:
    """A bar while images are read and decoded, or lines sent; silent when that takes no time or nobody watches."""

    def __init__(self, unit: str = "images") -> None:
        self._unit = unit
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
            self._tasks[key] = self._progress.add_task(f"{what} {self._unit}", total=of)
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
        self._running: dict[int, int] = {}  # trial -> epochs trained
        self._done = 0
        self._best: TrialState | None = None
        self._began_s = time.monotonic()
        self.heard_anything = False

    def __call__(self, event: Event | Notice, state: SweepState) -> None:
        """Show what an event has changed."""
        if isinstance(event, Notice):
            self._say(event.text)
            return
        self.heard_anything = True
        plan = state.plan
        match event:
            case SweepStarted() | SweepResumed():
                self._say_banner(state, event)
            case ArchitectureChecked():
                self._say_forecast(state, event)
            case MicroBatchLimited():
                self._say(
                    f"{event.architecture}: out of memory in trial {event.trial}; goes on with "
                    f"{event.micro_batch_size} images at a time, and so do later trials"
                )
            case ArchitectureGivenUp():
                self._say(f"{event.architecture} is given up: {event.reason}")
            case TrialEnded():
                self._say_trial(state, event)
            case FinalistEvaluated():
                value, bounds = event.test.get(plan.metric), event.test_intervals.get(plan.metric, (None, None))
                self._say(f"finalist {event.trial}: test {plan.metric} {format_interval((value, *bounds))}")
            case FoldEvaluated() if event.fold > 0:
                value = event.validation.get(plan.metric)
                self._say(f"finalist {event.trial}, fold {event.fold + 1}: {plan.metric} {format_metric(value)}")
            case SweepTracked() if event.registered is None:
                later = f"orchestrate sync {state.started.sweep_id} sends and registers it later"
                self._say(f"not registered: {event.fault}; {later}")
            case SweepEnded():
                self._say_end(state, event)
            case _:
                pass
        if self._task is not None and self._console.is_terminal:
            self._show_line(state, event)

    def __enter__(self) -> Self:
        """Return itself; the live line appears when the sweep starts."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the live line away."""
        self._live.stop()

    def _say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=not self._console.is_terminal)

    def _say_banner(self, state: SweepState, event: SweepStarted | SweepResumed) -> None:
        plan = event.plan
        where = f"{event.slots} slots on {event.device}"
        preset = f"preset {plan.preset}" + (" (no GPU)" if event.device == "cpu" else "")
        self._say(f"{state.started.sweep_id}: {plan.task}, {preset}, {plan.weights} weights, {where}")
        self._say(
            f"{plan.budget.trials} trials of at most {plan.budget.epochs} epochs; best by validation {plan.metric}"
        )
        if isinstance(event, SweepResumed):
            ended = sum(trial.has_ended for trial in state.trials.values())
            epochs = sum(len(trial.epochs) for trial in state.trials.values())
            self._say(f"goes on after {ended} trials that ended and {epochs} epochs in all")
            self._done = ended
        else:
            for line in data_lines(plan.data):
                self._say(line)
        self._live.start()
        self._task = self._live.add_task("starting", total=plan.budget.trials, completed=self._done)

    def _say_forecast(self, state: SweepState, event: ArchitectureChecked) -> None:
        epochs = state.plan.budget.epochs
        memory = "" if event.peak_memory_mib is None else f", {event.peak_memory_mib:.0f} MiB"
        self._say(
            f"{event.architecture}: {event.total_parameters / 1e6:.1f} M parameters, {event.step_s:.2g} s per step"
            f"{memory}; {epochs} epochs take about {in_words(epochs * event.epoch_s)}"
        )

    def _say_end(self, state: SweepState, event: SweepEnded) -> None:
        """Say how to go on where the sweep did not come to its end; also heard where nothing comes after."""
        self._live.stop()
        if event.state == "interrupted":
            kept = sum(len(trial.epochs) for trial in state.trials.values())
            self._say(f"{event.reason}; {len(state.trials)} trials with {kept} epochs are kept. To go on:")
            self._say(f"    orchestrate resume {state.started.sweep_id}")

    def _say_trial(self, state: SweepState, event: TrialEnded) -> None:
        trial = state.trials[event.trial]
        metric = state.plan.metric
        best = format_metric(trial.validation.get(metric))
        self._say(f"trial {event.trial:>3} {trial.architecture}: {event.state}, best {metric} {best}; {event.reason}")

    def _show_line(self, state: SweepState, event: Event) -> None:
        """Update the live line; what it needs is kept up by each event, not counted anew."""
        assert self._task is not None
        if isinstance(event, TrialStarted):
            self._running[event.trial] = event.after_epoch
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
