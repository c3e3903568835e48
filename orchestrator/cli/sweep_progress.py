"""What a sweep looks like in the terminal: a banner, a line for whatever ends, and the live view below them."""

from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.live import Live

from orchestrator.cli.banner import data_lines
from orchestrator.cli.console import messages, visible
from orchestrator.cli.live_view import LiveView
from orchestrator.journal import (
    ArchitectureChecked,
    ArchitectureGivenUp,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    MicroBatchLimited,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    TrialEnded,
)
from orchestrator.open_sweep import Notice
from orchestrator.ranking import format_interval, format_metric, size_text
from orchestrator.sweep_state import SweepState
from orchestrator.words import in_words

REDRAWN_PER_S = 4


class _Live(Live):
    """A live view above which lines can be said while its own thread draws."""

    def say(self, text: str) -> None:
        """Print a line; not between a frame's computation and its writing, or the frame is drawn over the line."""
        with self._lock:
            self.console.print(visible(text), soft_wrap=not self.console.is_terminal)


class SweepProgress:
    """Hear every journal event; show a live view on a terminal, plain lines elsewhere.

    `data_name` is what to call the folder of images, which no journal knows: paths may name people.
    """

    def __init__(self, data_name: str = "") -> None:
        self._console = messages()
        self._view = LiveView(data_name)
        self._live = _Live(self._view, console=self._console, refresh_per_second=REDRAWN_PER_S, transient=True)
        self.heard_anything = False
        self._is_gone = False

    def __call__(self, event: Event | Notice, state: SweepState) -> None:
        """Show what an event has changed; a terminal that has gone away costs the sweep nothing."""
        if self._is_gone:
            return
        try:
            self._show(event, state)
        except (OSError, SystemExit):  # rich ends the process where nobody reads its output any more
            self._is_gone = True

    def _show(self, event: Event | Notice, state: SweepState) -> None:
        if isinstance(event, Notice):
            self._live.say(event.text)
            return
        self.heard_anything = True
        self._view.hear(event, state)
        plan = state.plan
        match event:
            case SweepStarted() | SweepResumed():
                self._say_banner(state, event)
            case ArchitectureChecked():
                self._say_forecast(state, event)
            case MicroBatchLimited():
                self._live.say(
                    f"{event.architecture}: out of memory in trial {event.trial}; goes on with "
                    f"{event.micro_batch_size} images at a time, and so do later trials"
                )
            case ArchitectureGivenUp():
                self._live.say(f"{event.architecture} is given up: {event.reason}")
            case TrialEnded():
                self._say_trial(state, event)
            case FinalistEvaluated():
                value, bounds = event.test.get(plan.metric), event.test_intervals.get(plan.metric, (None, None))
                self._live.say(f"finalist {event.trial}: test {plan.metric} {format_interval((value, *bounds))}")
            case FoldEvaluated() | SeedEvaluated() if event.over == "seed" or event.number > 1:
                score = format_metric(event.validation.get(plan.metric))
                self._live.say(f"finalist {event.trial}, {event.over} {event.number}: {plan.metric} {score}")
            case SweepEnded():
                self._say_end(state, event)
            case _:
                pass

    def __enter__(self) -> Self:
        """Return itself; the live view appears when the sweep starts."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the live view away."""
        with suppress(OSError, SystemExit):
            self._live.stop()

    def _say_banner(self, state: SweepState, event: SweepStarted | SweepResumed) -> None:
        plan = event.plan
        where = f"{event.slots} slots on {event.device}"
        preset = f"preset {plan.preset}" + (" (no GPU)" if event.device == "cpu" else "")
        self._live.say(f"{state.started.sweep_id}: {plan.task}, {preset}, {plan.weights} weights, {where}")
        self._live.say(
            f"{plan.budget.trials} trials of at most {plan.budget.epochs} epochs; best by validation {plan.metric}"
            + (f", the winner by its mean over {plan.seeds} seeds" if plan.seeds > 1 else "")
        )
        if isinstance(event, SweepResumed):
            ended = sum(trial.has_ended for trial in state.trials.values())
            epochs = sum(len(trial.epochs) for trial in state.trials.values())
            self._live.say(f"goes on after {ended} trials that ended and {epochs} epochs in all")
        else:
            for line in data_lines(plan.data):
                self._live.say(line)
        if self._console.is_terminal:
            self._live.start()

    def _say_forecast(self, state: SweepState, event: ArchitectureChecked) -> None:
        epochs = state.plan.budget.epochs
        memory = "" if event.peak_memory_mib is None else f", {event.peak_memory_mib:.0f} MiB"
        self._live.say(
            f"{event.architecture}: {size_text(event.total_parameters)} parameters, {event.step_s:.2g} s per step"
            f"{memory}; {epochs} epochs take about {in_words(epochs * event.epoch_s)}"
        )

    def _say_end(self, state: SweepState, event: SweepEnded) -> None:
        """Say how to go on where the sweep did not come to its end; also heard where nothing comes after."""
        self._live.stop()
        if event.state == "interrupted":
            kept = sum(len(trial.epochs) for trial in state.trials.values())
            self._live.say(f"{event.reason}; {len(state.trials)} trials with {kept} epochs are kept. To go on:")
            self._live.say(f"    orchestrate resume {state.started.sweep_id}")

    def _say_trial(self, state: SweepState, event: TrialEnded) -> None:
        trial = state.trials[event.trial]
        metric = state.plan.metric
        best = format_metric(trial.validation.get(metric))
        self._live.say(
            f"trial {event.trial:>3} {trial.architecture}: {event.state}, best {metric} {best}; {event.reason}"
        )
