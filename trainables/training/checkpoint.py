"""The state of a training, on disk: what an interrupted run goes on from."""

import hashlib
import json
import os
import pickle
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from trainables.errors import DataError
from trainables.training.learner import Learner
from trainables.training.run import TrainingRun

STATE = "state.pt"
RATES_END = ("cosine", "onecycle")  # schedules that reach their end with the last epoch


@dataclass(frozen=True)
class Progress:
    """How far a training has come, and its best validation scores so far."""

    epoch: int = 0
    best_epoch: int = 0
    best: dict[str, float | None] | None = None

    def after(self, epoch: int, scores: dict[str, float | None], is_best: bool) -> "Progress":
        """Return the progress after one more epoch."""
        return Progress(epoch, epoch, scores) if is_best else replace(self, epoch=epoch)


class Checkpoint:
    """Where a run's state lies, and when it was last written."""

    def __init__(self, run: TrainingRun) -> None:
        self._every_s = run.keep_state_s
        self._path: Path = run.folder / STATE
        self._of = _digest(run)
        self._written_at_s = time.monotonic()

    def load(self, learner: Learner) -> Progress:
        """Put the state that the folder holds, if any, into the learner. Raises DataError for another run's."""
        if self._every_s is None or not self._path.exists():
            return Progress()
        try:
            saved = torch.load(self._path, weights_only=True, map_location="cpu")
            of, state, progress = saved["of"], saved["learner"], Progress(**saved["progress"])
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._path.name}: is damaged; name an empty folder") from error
        if of != self._of:
            raise DataError(f"{self._path.name}: the state of other settings or data; name an empty folder")
        learner.restore(state)
        return progress

    def save(self, learner: Learner, progress: Progress, is_due: bool) -> None:
        """Write the state, whole or not at all, when it is due or time has passed."""
        if self._every_s is None or not (is_due or time.monotonic() - self._written_at_s >= self._every_s):
            return
        part = self._path.with_name(f"{STATE}.part")
        torch.save({"of": self._of, "learner": learner.state(), "progress": asdict(progress)}, part)
        os.replace(part, self._path)
        self._written_at_s = time.monotonic()


def _digest(run: TrainingRun) -> str:
    """Return what two runs share that may continue each other; more epochs may follow unless the rates end."""
    own = [run.architecture, dict(run.hyperparameters), run.num_classes, run.seed, run.metric, run.data_digest]
    own += [run.pretrained, run.weights and run.weights.name, run.device]
    if run.hyperparameters["lr_schedule"] in RATES_END:
        own.append(run.epochs)
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
