"""One trial of a sweep once more, from its number, in this process; what differs from the journal is told."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator.cache_upkeep import held
from orchestrator.errors import BadInput, DiskFull, NoUsableTrial
from orchestrator.journal import read_events
from orchestrator.more_epochs import epochs_to_repeat
from orchestrator.open_sweep import JOURNAL, Notice, state_of
from orchestrator.resume import require_same_plan
from orchestrator.sweep_planning import plan_sweep
from orchestrator.sweep_request import SweepRequest, kept_request
from orchestrator.sweep_state import TrialState
from trainables.errors import DataError, TrainingFailed

if TYPE_CHECKING:
    from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
    from trainables.data.decoding import Progress
    from trainables.training.run import EpochRecord

SETUP = "trial_setup.json"
NOT_COMPARED = "perf/"  # seconds are never the same


@dataclass
class Replay:
    """The epochs of a trial as they are now beside what the journal says, and the largest difference of each.

    One that failed has the reason of then, and that of now where it fails again.
    """

    trial: int
    architecture: str
    epochs_then: int
    fault_then: str = ""
    fault_now: str = ""
    epochs: list["ReplayedEpoch"] = field(default_factory=list)

    @property
    def largest_difference(self) -> float:
        """Return the largest difference of any metric in any epoch; infinite where epochs are missing now."""
        if len(self.epochs) < self.epochs_then:
            return math.inf
        return max((epoch.difference for epoch in self.epochs), default=0.0)


@dataclass(frozen=True)
class ReplayedEpoch:
    """One epoch: its metrics by name, now and then, and where they differ most."""

    epoch: int
    now: dict[str, float | None]
    then: dict[str, float | None]

    @property
    def difference(self) -> float:
        """Return the largest difference between the metrics; infinite where one is missing on one side only."""
        return max((_apart(self.now.get(name), value) for name, value in self.then.items()), default=0.0)


def replay_trial(
    sweep_id: str,
    number: int,
    machine: SweepRequest,
    progress: "Progress",
    watch: Callable[[ReplayedEpoch | Notice], None],
) -> Replay:
    """Train the epochs that the journal has of a trial once more; no run, no weights, no registry.

    One that failed trains until it fails again, or one epoch more than the journal has; `watch` hears before it where
    it took its process along.

    Raises BadInput for an unknown sweep or trial, where data or sweep file changed, and for a folder that does not tell
    how its trials were trained; NoUsableTrial where training breaks down that did not; DiskFull.
    """
    folder = machine.home.sweep_folder(sweep_id)
    state = state_of(folder)
    trial = state.trials.get(number)
    if trial is None or not _can_be_compared(trial):
        known = ", ".join(str(one.number) for one in state.trials.values() if _can_be_compared(one)) or "none"
        raise BadInput(f"{sweep_id}: trial {number} has no epoch to compare with; those that have: {known}")
    request = kept_request(folder, machine)
    planned = plan_sweep(request, progress)
    require_same_plan(sweep_id, state.plan, planned.plan)
    from orchestrator.tuning.trial_setup import TrialConfig
    from trainables.data.split_rows import write_rows

    has_failed = trial.state == "failed"
    replayed = Replay(number, trial.architecture, len(trial.epochs), trial.reason if has_failed else "")
    if warning := _warning_of(replayed, folder):
        watch(Notice(warning))
    thens = [epoch.metrics for epoch in trial.epochs] + [{}] * has_failed
    with TemporaryDirectory() as scratch, held(planned.data.development.arrays.values()):
        development = Path(scratch, "development.csv")
        write_rows(development, planned.data.development.rows)  # of the same plan, wherever the sweep's own file is now
        setup = _setup_of(folder).model_copy(
            update={
                "development": development,
                "arrays": planned.data.development.arrays,
                "trials": Path(scratch),
                "keep_state_s": None,
                "keep_every_epochs": 0,
                "state_wanted": None,
                "device": planned.slots.device,
            }
        )
        planned_for = epochs_to_repeat(read_events(folder / JOURNAL)[0], trial)
        setup = setup.model_copy(update={"epochs": planned_for or setup.epochs})
        config = TrialConfig.of(trial, folder / SETUP)
        try:
            epochs = _until_it_fails(config, setup, replayed, has_failed)
            for then, record in zip(thens, epochs, strict=False):
                compared = {k: v for k, v in then.items() if not k.startswith(NOT_COMPARED)}
                replayed.epochs.append(ReplayedEpoch(record.epoch, record.metrics, compared))
                watch(replayed.epochs[-1])
        except DataError as error:
            raise BadInput(f"{sweep_id}: {error}") from error
    return replayed


def _until_it_fails(
    config: "TrialConfig", setup: "TrialSetup", replayed: Replay, has_failed: bool
) -> Iterator["EpochRecord"]:
    """Yield the epochs of a training; where one that failed then fails now, it is noted and they end."""
    from orchestrator.tuning.faults import reason_of
    from orchestrator.tuning.trial import begin_training
    from trainables.training.disk import WRITING_FAULTS, is_disk_full

    try:
        yield from begin_training(config, setup)
    except DataError:
        raise
    except Exception as error:
        if isinstance(error, WRITING_FAULTS) and is_disk_full(error, setup.trials):
            way = "free some space, or set TMPDIR to a folder on another"
            raise DiskFull(f"{setup.trials.parent}: the disk is full; {way}") from error
        if has_failed:
            replayed.fault_now = reason_of(error)
        elif isinstance(error, TrainingFailed):
            raise NoUsableTrial(f"trial {replayed.trial}: {error}") from error
        else:
            raise


def _warning_of(replayed: Replay, folder: Path) -> str:
    """Return what may befall this process, where a trial took its own along; empty where it did not."""
    from orchestrator.tuning.trial_log import CRASHED, HANGING, KILLED, LOG, NODE_LOST, SILENT
    from orchestrator.tuning.trial_setup import trial_folder

    then = replayed.fault_then
    if then.startswith(HANGING):
        return f"then: {then}; nothing ends this one: where no epoch comes for as long, Ctrl-C does"
    if then.startswith((CRASHED, SILENT)) or any(words in then for words in (KILLED, *NODE_LOST)):
        log = trial_folder(folder / "trials", replayed.trial) / LOG
        return f"then: {then}; if it dies again, so does this command, without another word; what was said then: {log}"
    return ""


def _can_be_compared(trial: TrialState) -> bool:
    return bool(trial.epochs) or trial.state == "failed"


def _setup_of(folder: Path) -> "TrialSetup":
    from orchestrator.tuning.trial_setup import TrialSetup

    try:
        return TrialSetup.model_validate_json((folder / SETUP).read_bytes())
    except (OSError, ValueError) as error:
        again = f"orchestrate resume {folder.name} writes it again where the sweep has more to do"
        raise BadInput(f"{folder / SETUP}: is missing or damaged; put back a whole copy, or {again}") from error


def _apart(one: float | None, other: float | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else math.inf
    return abs(one - other)
