"""A sweep whose trials and finalists run in this process, one after another: all of it but Ray.

Ray's processes, each with its own imports, take most of a small sweep's time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from orchestrator.journal import EpochEnded, TrialEnded, TrialStarted
from orchestrator.open_sweep import OpenSweep
from orchestrator.sweep_state import TrialState
from orchestrator.tuning.finalists import evaluate_finalist
from orchestrator.tuning.recorder import METRIC_SECTIONS
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.searcher import OptunaSearcher
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_files import TrialFiles
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup


@contextmanager
def without_ray() -> Iterator[None]:
    """Let sweeps start no Ray meanwhile; each of their trials trains all its epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.tuning.local_ray.local_ray", lambda *about: nullcontext())
        patch.setattr("orchestrator.tuning.runner.run_trials", _run_trials)
        patch.setattr("orchestrator.tuning.runner.evaluate_finalists", _evaluate_finalists)
        yield


def _run_trials(sweep: OpenSweep, setup: Path, slots: Slots, stopping: Stopping, files: TrialFiles) -> None:
    searcher = OptunaSearcher(sweep, setup, [], stopping, lambda: 1)
    shared = TrialSetup.model_validate_json(setup.read_text())
    while isinstance(found := searcher.suggest("only"), dict):
        config, result = TrialConfig.model_validate(found), {}
        sweep.append(TrialStarted(trial=config.trial))
        for record in begin_training(config, shared):
            metrics = {name: value for name, value in record.metrics.items() if name.startswith(METRIC_SECTIONS)}
            sweep.append(EpochEnded(trial=config.trial, epoch=record.epoch, metrics=metrics))
            result = {"epoch": record.epoch, **metrics}
        sweep.append(TrialEnded(trial=config.trial, state="completed", reason=f"all {shared.epochs} epochs trained"))
        files.trial_ended(config.trial)
        searcher.on_trial_complete("only", result)


def _evaluate_finalists(
    trials: Sequence[TrialState],
    setup: Path,
    test: TestData,
    folder: Path,
    slots: Slots,
    sweep: OpenSweep,
    stopping: Stopping,
) -> list[TrialState]:
    shared = TrialSetup.model_validate_json(setup.read_text())
    for trial in trials:
        config = TrialConfig.of(trial, setup)
        sweep.append(evaluate_finalist(config, shared, test, folder / f"{trial.number:04d}"))
    return list(trials)
