"""The trials of a sweep through ray.tune.Tuner, then its finalists, on one Ray that is started and ended here."""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from orchestrator.errors import BadInput, Interrupted
from orchestrator.journal import FoldEvaluated, JournalWriter
from orchestrator.plan import SweepPlan
from orchestrator.sweep_state import TrialState
from orchestrator.tuning.finalists import submit_finalist
from orchestrator.tuning.folds import submit_fold
from orchestrator.tuning.recorder import JournalRecorder
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.scheduler import FairAsha
from orchestrator.tuning.searcher import OptunaSearcher
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trainable import TrialActor
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import DataError

OBJECT_STORE_BYTES = 200 * 2**20  # images go by memory map, so Ray's store carries only small results
POLL_S = 0.5

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints on stdout whatever the verbosity
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours also hears SIGTERM
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports its reason and no metric
    "TUNE_MAX_PENDING_TRIALS_PG": "1024",  # the searcher alone limits how many run at once
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is the state; Tune's snapshots cost more with every trial
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextmanager
def local_ray(slots: Slots) -> Iterator[threading.Event]:
    """Start a Ray of our own on this machine; yield an event that is set by the first Ctrl-C or SIGTERM.

    The second ends the process at once: Ray's processes follow their driver.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what ends a trial is told by the journal, in one line
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    ray.init(
        address="local",
        num_cpus=slots.count,
        num_gpus=slots.gpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(Interrupted.exit_code)
        stop.set()

    # ray.init replaces the SIGTERM handler, so ours come after it
    for number in previous:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        ray.shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_trials(
    plan: SweepPlan, setup: Path, folder: Path, slots: Slots, journal: JournalWriter, stop: threading.Event
) -> None:
    """Run every trial of the plan; what happens is in the journal. Raises Interrupted when `stop` was set."""
    stop_reasons: dict[str, str] = {}
    scheduler: TrialScheduler = FIFOScheduler()
    if plan.scheduler.name == "asha":
        scheduler = FairAsha(plan)
        stop_reasons = scheduler.stop_reasons
    tuner = tune.Tuner(
        tune.with_resources(TrialActor, {"cpu": 1, "gpu": slots.gpu_share}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearcher(plan, setup, stop.is_set),
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder / "ray"),
            callbacks=[JournalRecorder(journal, plan.budget.epochs, stop_reasons)],
            stop=_StopOnRequest(stop),
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()
    if stop.is_set():
        raise Interrupted("interrupted while trials were running")


def evaluate_finalists(
    trials: Sequence[TrialState],
    setup: Path,
    test: TestData,
    folder: Path,
    slots: Slots,
    journal: JournalWriter,
    stop: threading.Event,
) -> None:
    """Evaluate the finalists side by side; each is one line in the journal. Raises Interrupted when `stop` was set."""
    shared = TrialSetup.model_validate_json(setup.read_text())
    waiting: list[Any] = [
        submit_finalist(_config(trial, setup), shared, test, folder / f"{trial.number:04d}", slots.gpu_share)
        for trial in trials
    ]
    _record(waiting, journal, stop, "interrupted while finalists were evaluated")


def train_folds(
    trials: Sequence[TrialState], folds: int, setup: Path, slots: Slots, journal: JournalWriter, stop: threading.Event
) -> None:
    """Train each finalist on the other folds; each is a line in the journal. Raises Interrupted when `stop` was set."""
    shared = TrialSetup.model_validate_json(setup.read_text())
    for trial in trials:
        assert trial.best is not None
        first = FoldEvaluated(trial=trial.number, fold=0, epoch=trial.best.epoch, validation=trial.validation)
        journal.append(first)
    waiting: list[Any] = [
        submit_fold(_config(trial, setup, fold), shared, slots.gpu_share)
        for trial in trials
        for fold in range(1, folds)
    ]
    _record(waiting, journal, stop, "interrupted while finalists were trained on other folds")


def _config(trial: TrialState, setup: Path, fold: int = 0) -> TrialConfig:
    return TrialConfig(
        trial=trial.number,
        architecture=trial.architecture,
        hyperparameters=trial.hyperparameters,
        seed=trial.seed,
        published=trial.published,
        setup=setup,
        fold=fold,
    )


def _record(waiting: list[Any], journal: JournalWriter, stop: threading.Event, interrupted: str) -> None:
    """Write what each Ray task returns into the journal, in the order in which they end.

    Raises BadInput where a task found that its data were changed since the plan.
    """
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=POLL_S)
        if stop.is_set():
            raise Interrupted(interrupted)
        for reference in ready:
            try:
                journal.append(ray.get(reference))
            except RayTaskError as error:
                if isinstance(error.cause, DataError):
                    raise BadInput(str(error.cause)) from error
                raise


class _StopOnRequest(tune.Stopper):
    """Stop no trial by itself; end the whole run when asked to."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._stop.is_set()

    def __getstate__(self) -> dict[str, object]:
        return {}
