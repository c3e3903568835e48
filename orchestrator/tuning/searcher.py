"""Optuna proposes, told the truth: pruned trials as PRUNED, failed ones as FAIL, complete ones with their best score.

Ray's own OptunaSearch tells Optuna that an ASHA-stopped trial is COMPLETE with its low-budget score and drops the
report that led to the stop; this searcher asks, reports and tells by itself.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import ray
from optuna.study import StudyDirection
from optuna.trial import TrialState
from ray.tune.search import Searcher

from orchestrator.plan import SweepPlan
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Choice, Fixed, FloatRange, IntRange, Parameter, Scalar, Space, defaults, is_active
from orchestrator.tuning.trainable import EPOCH, FAILED
from orchestrator.tuning.trial_setup import TrialConfig
from trainables.catalog import default_hyperparameters


class OptunaSearcher(Searcher):
    """One study per architecture, architectures in turn, defaults as the first trial of each.

    A trial's number is its identity: sampler and training seeds derive from it. At most as many trials at once as the
    cluster has CPUs, read anew each time so that joining nodes are used.
    """

    def __init__(self, plan: SweepPlan, setup: Path, stop_requested: Callable[[], bool]) -> None:
        super().__init__(metric=f"val/{plan.metric}", mode=plan.direction)
        self._metric_name = f"val/{plan.metric}"
        self._plan = plan
        self._setup = setup
        self._stop_requested = stop_requested
        direction = StudyDirection.MAXIMIZE if plan.direction == "max" else StudyDirection.MINIMIZE
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._studies = {name: optuna.create_study(direction=direction) for name in plan.architectures}
        for name, space in plan.architectures.items():
            self._studies[name].enqueue_trial(defaults(space))
        self._asked: dict[str, tuple[str, optuna.Trial]] = {}
        self._reports: dict[str, dict[int, float]] = {}
        self._num_suggested = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is text
        """Return the next configuration, None while every slot is taken, FINISHED when the budget is spent."""
        if self._num_suggested >= self._plan.budget.trials or self._stop_requested():
            return str(Searcher.FINISHED)
        if len(self._asked) >= int(ray.cluster_resources().get("CPU", 1)):
            return None
        number = self._num_suggested
        self._num_suggested += 1
        names = list(self._plan.architectures)
        name = names[number % len(names)]
        space, study = self._plan.architectures[name], self._studies[name]
        study.sampler = self._sampler(number)
        trial = study.ask()
        chosen = ask_space(space, trial)
        self._asked[trial_id] = (name, trial)
        self._reports[trial_id] = {}
        config = TrialConfig(
            trial=number,
            architecture=name,
            hyperparameters={**default_hyperparameters(name), **chosen},
            seed=child_seed(self._plan.seed, SeedPath.TRIAL, number),
            published=number < len(names) and self._plan.published[name],
            setup=self._setup,
        )
        return config.model_dump(mode="json")

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report one epoch to Optuna."""
        value, epoch = result.get(self._metric_name), result.get(EPOCH)
        if value is None or epoch is None or epoch in self._reports[trial_id]:
            return
        self._reports[trial_id][epoch] = value
        self._asked[trial_id][1].report(value, step=epoch)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended; the result that led to a stop comes only here, so it is reported first."""
        if trial_id not in self._asked:
            return
        if result is not None:
            self.on_trial_result(trial_id, result)
        name, trial = self._asked.pop(trial_id)
        reports = self._reports.pop(trial_id)
        if error or not reports or (result or {}).get(FAILED):
            self._studies[name].tell(trial, state=TrialState.FAIL)
        elif max(reports) < self._plan.budget.epochs:
            self._studies[name].tell(trial, state=TrialState.PRUNED)
        else:
            best = max(reports.values()) if self._plan.direction == "max" else min(reports.values())
            self._studies[name].tell(trial, best)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal holds everything that a searcher could be rebuilt from."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as nothing is saved."""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = child_seed(self._plan.seed, SeedPath.SAMPLER, number)
        if self._plan.search.algorithm == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def ask_space(space: Space, trial: optuna.Trial) -> dict[str, Scalar]:
    """Let Optuna choose the parameters whose condition holds; fixed ones are taken as they are."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen):
            chosen[name] = _ask(name, parameter, trial)
    return chosen


def _ask(name: str, parameter: Parameter, trial: optuna.Trial) -> Scalar:
    match parameter:
        case FloatRange():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        case IntRange():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
        case Choice():
            chosen: Scalar = trial.suggest_categorical(name, list(parameter.choices))  # type: ignore[assignment]
            return chosen
        case Fixed():
            return parameter.default
