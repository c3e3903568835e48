"""The state of a training, on disk: what an interrupted run goes on from. Two are kept, should one be damaged."""

import hashlib
import json
import pickle
import re
import time
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from trainables.configs.training import RATES_END
from trainables.durable import put_in_place
from trainables.errors import StateError
from trainables.training.learner import Learner
from trainables.training.run import EpochRecord, TrainingRun

KEPT_STATES = 2
STATES = "state_epoch_"
AFFORDABLE_SHARE = 0.02  # of the time: a state that costs less is written more often than it must be
FIRST_COST_S = 0.1  # before the first one is written


@dataclass(frozen=True)
class Progress:
    """How far a training has come, its best validation scores so far, and every epoch's record."""

    epoch: int = 0
    best_epoch: int = 0
    best: dict[str, float | None] | None = None
    records: list[EpochRecord] = field(default_factory=list)

    def after(self, record: EpochRecord, scores: dict[str, float | None]) -> "Progress":
        """Return the progress after one more epoch."""
        more = replace(self, epoch=record.epoch, records=[*self.records, record])
        return replace(more, best_epoch=record.epoch, best=scores) if record.is_best else more


def state_files(folder: Path) -> list[Path]:
    """Return the states that a trial's folder holds, the newest first."""
    found = {int(match[1]): path for path in folder.glob(f"{STATES}*.pt") if (match := _NAME.fullmatch(path.name))}
    return [found[epoch] for epoch in sorted(found, reverse=True)]


_FAULTS = (RuntimeError, EOFError, KeyError, TypeError, ValueError, OSError)
_NAME = re.compile(rf"{STATES}(\d+)\.pt")


class Checkpoint:
    """Where a run's states lie, and when one was last written."""

    def __init__(self, run: TrainingRun) -> None:
        self._every_s = run.keep_state_s
        self._folder = run.folder
        self._asked_for = run.state_wanted
        self._of = _digest(run)
        self._written_at_s = time.monotonic()
        self._cost_s = FIRST_COST_S

    def load(self, learner: Learner) -> Progress:
        """Put the newest whole state that the folder holds, if any, into the learner.

        Raises StateError for another run's, and where there are some but none is whole.
        """
        files = [] if self._every_s is None else state_files(self._folder)
        for path in files:
            try:
                with zipfile.ZipFile(path) as archive:
                    if archive.testzip() is not None:  # torch.load looks at no checksum
                        continue
                saved = torch.load(path, weights_only=True, map_location="cpu")
                of, state = saved["of"], saved["learner"]
                records = [EpochRecord(**record) for record in saved["progress"].pop("records")]
                progress = Progress(**saved["progress"], records=records)
            except (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, *_FAULTS):
                continue
            if of != self._of:
                raise StateError(f"{path.name}: the state of other settings or data; name an empty folder")
            learner.restore(state)
            return progress
        if files:
            raise StateError(f"{files[0].name}: is damaged, and there is no older one; name an empty folder")
        return Progress()

    def save(self, learner: Learner, progress: Progress, is_due: bool) -> None:
        """Write the state, whole or not at all, when it is due, asked for, or time has passed."""
        if self._every_s is None:
            return
        wait_s = min(self._every_s, self._cost_s / AFFORDABLE_SHARE)
        wanted = self._asked_for is not None and self._asked_for.exists()
        if not (is_due or wanted or time.monotonic() - self._written_at_s >= wait_s):
            return
        began_s = time.monotonic()
        path = self._folder / f"{STATES}{progress.epoch:04d}.pt"
        part = path.with_suffix(".part")
        torch.save({"of": self._of, "learner": learner.state(), "progress": asdict(progress)}, part)
        put_in_place(part, path)
        for old in state_files(self._folder)[KEPT_STATES:]:
            old.unlink(missing_ok=True)
        self._written_at_s = time.monotonic()
        self._cost_s = self._written_at_s - began_s


def _digest(run: TrainingRun) -> str:
    """Return what two runs share that may continue each other; more epochs may follow unless the rates end.

    The size of micro-batches is none of it: a run that met the end of the memory goes on with smaller ones.
    """
    by = {name: value for name, value in run.hyperparameters.items() if name != "micro_batch_size"}
    own = [run.architecture, by, run.num_classes, run.seed, run.metric, run.data_digest]
    own += [run.pretrained, run.weights and run.weights.name, run.device]
    if run.hyperparameters["lr_schedule"] in RATES_END:
        own.append(run.epochs)
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
