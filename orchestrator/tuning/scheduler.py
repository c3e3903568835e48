"""Early stopping in epochs, among trials of one architecture or of all; defaults (the first of each) never stop."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from orchestrator.journal import EpochEnded, Event
from orchestrator.sweep_state import SweepState
from orchestrator.tuning.stop_rules import StopRule, make_rule
from orchestrator.tuning.trainable import EPOCH

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class FairScheduler(FIFOScheduler):
    """Send each trial to the rule of its architecture, so that slow starters compete with their own kind only.

    With `allocation: adaptive` all compete by one rule. `stop_reasons` tells of each stop, by trial number.
    """

    def __init__(self, state: SweepState, past: Iterable[Event] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        plan = state.plan
        self._state = state
        self._metric_name = f"val/{plan.metric}"
        self._shared = plan.search.allocation == "adaptive"
        self._rules: dict[str, StopRule | None] = {
            name: make_rule(plan) for name in ([""] if self._shared else plan.architectures)
        }
        self._judged: dict[int, int] = {}  # trial -> last epoch that its rule has seen
        self.stop_reasons: dict[int, str] = {}
        for event in past:
            if isinstance(event, EpochEnded):
                self._judge(event.trial, event.epoch, event.metrics.get(self._metric_name))

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Accept what the Tuner passes on; the plan has said it already."""
        return True

    def on_trial_result(self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP; the reason of a stop is kept in words."""
        number = int(trial.config["trial"])
        if EPOCH in result:
            self._judge(number, result[EPOCH], result.get(self._metric_name))
        return str(TrialScheduler.STOP if number in self.stop_reasons else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: "TuneController", trial: Trial, result: dict[str, Any]) -> None:
        """Show the rule the last epoch of a trial that ended by itself: Tune asks about that one no more."""
        if EPOCH in result:
            self._judge(int(trial.config["trial"]), result[EPOCH], result.get(self._metric_name))

    def choose_trial_to_run(self, tune_controller: "TuneController") -> Trial | None:
        """Return the newest of those that wait: a process that is free goes to it.

        An older one has a process of its own that still starts. Given the free one, Tune ends that process and starts
        another for the newest; where starting takes longer than a trial, most slots would stay empty for good.
        """
        waiting = [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]
        return max(waiting, key=lambda trial: int(trial.config["trial"]), default=None)

    def debug_string(self) -> str:
        """Return one line for Tune's own log."""
        return f"early stopping by {self._state.plan.scheduler.name}"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}

    def _judge(self, number: int, epoch: int, value: float | None) -> None:
        """Let the rule see an epoch, once; a value that is missing is no reason to stop."""
        trial = self._state.trials[number]
        rule = self._rules["" if self._shared else trial.architecture]
        if rule is None or value is None or not math.isfinite(value) or epoch <= self._judged.get(number, 0):
            return
        self._judged[number] = epoch
        reason = rule.judge(number, epoch, value)
        if reason and not self._is_exempt(number) and epoch < self._state.plan.budget.epochs:
            self.stop_reasons.setdefault(number, reason)

    def _is_exempt(self, number: int) -> bool:
        return number < len(self._state.plan.architectures) or self._state.trials[number].is_extended
