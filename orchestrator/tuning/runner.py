"""The trials of a sweep through ray.tune.Tuner, then its finalists, on one Ray."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, UnserializableException, WorkerCrashedError
from ray.tune.error import TuneError

from orchestrator.errors import DiskFull, Interrupted
from orchestrator.journal import Over, TrialEnd, TrialEnded
from orchestrator.more_epochs import epochs_to_repeat
from orchestrator.open_sweep import OpenSweep
from orchestrator.sweep_state import TrialState
from orchestrator.tuning.cluster_room import ClusterRoom
from orchestrator.tuning.faults import fault_of_task
from orchestrator.tuning.finalists import submit_finalist
from orchestrator.tuning.packing import Group, fits, part_of_time
from orchestrator.tuning.recorder import LOSS_SHOWS_AFTER_S, JournalRecorder, end_of
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.retraining import Retrained, at_place, evaluated, submit_retraining
from orchestrator.tuning.scheduler import FairScheduler
from orchestrator.tuning.searcher import OptunaSearcher
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.stored_trials import bring_finalist
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trainable import TrialActor
from orchestrator.tuning.trial_files import TrialFiles
from orchestrator.tuning.trial_log import LOG, cause_of_death, size_bytes
from orchestrator.tuning.trial_setup import TrialConfig, read_setup, setup_for_nodes
from trainables.errors import first_line
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.models import holds_weights
from trainables.training.disk import is_disk_full, says_disk_full

POLL_S = 0.5


def run_trials(
    sweep: OpenSweep, setup: Path, slots: Slots, stopping: Stopping, files: TrialFiles, trainable: type = TrialActor
) -> None:
    """Run what the plan has left to try, in one fit for each size of trials; what happens is in the journal.

    Trials that were interrupted, or have new epochs to train, go on first in their fit. Raises Interrupted or DiskFull
    where the sweep was to end before its budget was spent.
    """
    for group in fits(sweep.state, slots):
        if slots.shares:
            sweep.tell(group.sentence)
        stopping.allot(part_of_time(sweep.state, slots, group))
        _fit(sweep, setup, group, replace(slots, gpu_share=group.gpu_share), stopping, files, trainable)
    if stopping.out_of_time:  # one whose process was killed just before had no time to go on
        for trial in [trial for trial in sweep.state.trials.values() if not trial.has_ended]:
            _end(sweep, files, trial, "pruned", "the time budget is spent")


def _fit(
    sweep: OpenSweep,
    setup: Path,
    group: Group,
    slots: Slots,
    stopping: Stopping,
    files: TrialFiles,
    trainable: type,
) -> None:
    """Run what a group of architectures has left to try. Raises as `run_trials`."""
    scheduler = FairScheduler(sweep.state, sweep.past)
    going_on = _going_on(sweep, files, scheduler.stop_reasons)
    place = setup_for_nodes(setup, sweep.stored.store.uri if sweep.stored else "")
    searcher = OptunaSearcher(sweep, place, going_on, stopping, ClusterRoom(slots), group)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": slots.cpus_each, "gpu": slots.gpu_share}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(sweep.folder / "ray"),
            callbacks=[JournalRecorder(sweep, files, stopping, scheduler.stop_reasons, searcher)],
            stop=stopping,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except KeyboardInterrupt:  # from `stopping`
        raise_if_asked_to_end(stopping)
        raise
    except (RayError, OSError, TuneError) as error:
        time.sleep(LOSS_SHOWS_AFTER_S)
        raise_if_asked_to_end(stopping)
        if says_disk_full(str(error)):
            raise DiskFull("the disk is full: Ray Tune could not write what it has to") from error
        if not isinstance(error, RayError):
            raise
        raise Interrupted(f"Ray was lost: {first_line(error)}") from error
    raise_if_asked_to_end(stopping)


def _end(sweep: OpenSweep, files: TrialFiles, trial: TrialState, state: TrialEnd, reason: str) -> None:
    state, reason = end_of(trial, state, reason)
    files.bring(trial.number)
    sweep.append(TrialEnded(trial=trial.number, state=state, reason=reason))
    files.trial_ended(trial.number)


def _going_on(sweep: OpenSweep, files: TrialFiles, stop_reasons: dict[int, str]) -> list[int]:
    """Return the trials that train further, the lowest number first.

    What an interruption kept from being written is written now: the end of trials whose last epoch, by the rule or by
    themselves, was already one.
    """
    plan, going_on = sweep.state.plan, []
    for trial in list(sweep.state.trials.values()):
        if not trial.has_ended:
            own_end = trial.epochs[-1].stop_reason if trial.epochs else ""
            if own_end or trial.last_epoch >= plan.budget.epochs:
                _end(sweep, files, trial, "completed", own_end or f"all {plan.budget.epochs} epochs trained")
            elif trial.number in stop_reasons and not trial.is_extended:
                _end(sweep, files, trial, "pruned", stop_reasons[trial.number])
            else:
                going_on.append(trial.number)
    return going_on


def evaluate_finalists(
    trials: Sequence[TrialState],
    setup: Path,
    test: TestData,
    folder: Path,
    slots: Slots,
    sweep: OpenSweep,
    stopping: Stopping,
) -> list[TrialState]:
    """Evaluate the finalists that the journal lacks, side by side, and return them; Interrupted where asked to end.

    One whose weights are lost is evaluated again, too, once they are trained again.
    """
    shared = read_setup(str(setup))
    waiting: dict[Any, _Task] = {}
    new = []
    for trial in trials:
        assert trial.best is not None
        config = TrialConfig.of(trial, setup).model_copy(update={"best_epoch": trial.best.epoch})
        results = folder / f"{trial.number:04d}"
        if sweep.stored is not None:
            known = results if trial.number in sweep.state.finalists else None
            sweep.stored.need(partial(bring_finalist, shared, config, known))
        if not holds_weights(shared.trial_folder(config) / BEST_WEIGHTS):
            to = f"to its best epoch, {config.best_epoch}"
            sweep.tell(f"trial {trial.number}: its weights are missing or damaged: it is trained again {to}")
        elif trial.number in sweep.state.finalists:
            continue
        own = shared.model_copy(update={"epochs": epochs_to_repeat(sweep.past, trial) or shared.epochs})
        log = shared.trial_folder(config) / LOG
        said_bytes = size_bytes(log)
        task = submit_finalist(config, own, test, results, slots.cpus_each, slots.share(trial.architecture))
        waiting[task] = _Task(log, said_bytes, bring=partial(bring_finalist, shared, config, results))
        new.append(trial)
    _record(waiting, sweep, stopping)
    return new


def train_again(
    trials: Sequence[TrialState],
    over: Over,
    count: int,
    setup: Path,
    slots: Slots,
    sweep: OpenSweep,
    stopping: Stopping,
) -> None:
    """Train each finalist on the folds, or from the seeds, that the journal lacks; Interrupted where asked to end.

    The search's own training is that of the first fold. It is none of the seeds: it was chosen for its score.
    """
    shared = read_setup(str(setup))
    waiting: dict[Any, _Task] = {}
    for trial in trials:
        assert trial.best is not None
        done = set(sweep.state.retrained(over).get(trial.number, {}))
        config = TrialConfig.of(trial, setup).model_copy(update={"over": over})
        if over == "fold" and 0 not in done:
            sweep.append(evaluated(config, trial.best.epoch, trial.validation))
        for index in range(1, count + (over == "seed")):
            if index not in done:
                own = at_place(config, index)
                log = shared.trial_folder(own) / LOG
                said_bytes = size_bytes(log)
                task = submit_retraining(own, shared, slots.cpus_each, slots.share(trial.architecture))
                waiting[task] = _Task(log, said_bytes, evaluated(own, 0, {}))
    _record(waiting, sweep, stopping)


@dataclass(frozen=True)
class _Task:
    """Where a task says what it does, and what the journal has of a retraining whose process dies each time.

    `said_bytes` of the log were there before. `bring`: fetches what the task left, where the sweep is in a store.
    """

    log: Path
    said_bytes: int = 0
    broken_down: Retrained | None = None
    bring: Callable[[], None] | None = None


def _record(waiting: dict[Any, _Task], sweep: OpenSweep, stopping: Stopping) -> None:
    """Write what each Ray task returns into the journal, in the order in which they end.

    Raises BadInput where a task found that its data were changed since the plan, DiskFull where it found no room,
    OrchestratorError for what else it raised, Interrupted where asked to end and where Ray or an evaluation was lost.
    """
    while waiting:
        ready, _ = ray.wait(list(waiting), timeout=POLL_S)
        raise_if_asked_to_end(stopping)
        for reference in ready:
            task = waiting.pop(reference)
            try:
                event = ray.get(reference)
            except (RayTaskError, UnserializableException) as error:
                raise fault_of_task(error, sweep.folder) from error
            except RayError as error:
                time.sleep(LOSS_SHOWS_AFTER_S)
                raise_if_asked_to_end(stopping)
                event = _without_process(task, error, sweep)
            if sweep.stored is not None and task.bring is not None:
                sweep.stored.need(task.bring)
            sweep.append(event)


def _without_process(task: _Task, error: RayError, sweep: OpenSweep) -> Retrained:
    """Return what is known of a retraining whose process died again and again: as little as of one that broke down."""
    if is_disk_full(error, sweep.folder):  # its process could not even begin
        raise fault_of_task(error, sweep.folder) from error
    reason = cause_of_death(task.log, task.said_bytes) or first_line(error)
    broken = task.broken_down
    if broken is None or not isinstance(error, WorkerCrashedError | OutOfMemoryError):
        raise Interrupted(f"the process of an evaluation ended: {reason}") from error
    sweep.tell(f"trial {broken.trial}, {broken.over} {broken.number}: {reason}; it counts as one that broke down")
    for path in task.log.parent.glob("*"):
        if path.name != LOG:  # states and weights that nobody goes on from
            path.unlink()
    return broken


def raise_if_asked_to_end(stopping: Stopping) -> None:
    """Raise DiskFull or Interrupted with the reason, where there is one."""
    if stopping.requested:
        raise (DiskFull if stopping.cause == "disk" else Interrupted)(stopping.reason)
