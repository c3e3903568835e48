"""ASHA in epochs, one per architecture; trial 0 of each (the defaults) is never stopped."""

from typing import TYPE_CHECKING, Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from orchestrator.plan import SweepPlan
from orchestrator.tuning.trainable import EPOCH

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

Result = dict[str, Any]


class FairAsha(TrialScheduler):
    """Send each trial to the ASHA of its architecture, so that slow starters compete with their own kind only."""

    CONTINUE, STOP, PAUSE = TrialScheduler.CONTINUE, TrialScheduler.STOP, TrialScheduler.PAUSE

    def __init__(self, plan: SweepPlan) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._metric_name = f"val/{plan.metric}"
        self._num_exempt = len(plan.architectures)
        self._reduction_factor = plan.scheduler.reduction_factor
        self._schedulers = {name: _asha(plan) for name in plan.architectures}
        self.stop_reasons: dict[str, str] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Accept what the Tuner passes on; the plan has said it already."""
        return True

    def on_trial_add(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Begin to follow a trial."""
        self._scheduler(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: "TuneController", trial: Trial, result: Result) -> str:
        """Return CONTINUE or STOP; the reason of a stop is kept in words."""
        decision = self._scheduler(trial).on_trial_result(tune_controller, trial, result)
        if decision != TrialScheduler.STOP:
            return str(decision)
        if trial.config["trial"] < self._num_exempt:
            return str(TrialScheduler.CONTINUE)
        value, epoch = result.get(self._metric_name), result[EPOCH]
        shown = "none" if value is None else f"{value:.4f}"
        self.stop_reasons[trial.trial_id] = (
            f"ASHA at epoch {epoch}: {self._metric_name} {shown} is not in the best 1/{self._reduction_factor} "
            f"of {trial.config['architecture']}"
        )
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: "TuneController", trial: Trial, result: Result) -> None:
        """Take the last result of a trial into its rung."""
        self._scheduler(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Forget a trial that died."""
        self._scheduler(trial).on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Forget a trial that was removed."""
        self._scheduler(trial).on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: "TuneController") -> Trial | None:
        """Return the first trial that waits for a slot."""
        waiting: list[Trial] = [trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING]
        return waiting[0] if waiting else None

    def debug_string(self) -> str:
        """Return one line for Tune's own log."""
        return f"ASHA over {', '.join(self._schedulers)}"

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}

    def _scheduler(self, trial: Trial) -> AsyncHyperBandScheduler:
        return self._schedulers[trial.config["architecture"]]


def _asha(plan: SweepPlan) -> AsyncHyperBandScheduler:
    return AsyncHyperBandScheduler(
        time_attr=EPOCH,
        metric=f"val/{plan.metric}",
        mode=plan.direction,
        max_t=plan.budget.epochs + 1,  # a trial ends itself at its last epoch, before ASHA is asked
        grace_period=min(plan.scheduler.grace_epochs, plan.budget.epochs),
        reduction_factor=plan.scheduler.reduction_factor,
    )
