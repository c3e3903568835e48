"""`orchestrate train`: one configuration in this process, a folder as its result. No Ray, no MLflow, no registry."""

import csv
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from orchestrator.cache_upkeep import collect_garbage, held
from orchestrator.errors import BadInput, DiskFull, Interrupted, NoUsableTrial
from orchestrator.inspecting.data import require_unchanged, write_unreadable
from orchestrator.inspecting.machine import git_state, versions
from orchestrator.own_tasks import keep_task
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.train_planning import PART, SETTINGS, PlannedTraining, TrainRequest, plan_training, settings_of
from trainables.errors import DataError, TrainingFailed, WeightsError
from trainables.evaluation.figures import draw_training_curves
from trainables.explain.settings import explanation_settings

if TYPE_CHECKING:
    from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
    from trainables.data.decoding import Progress
    from trainables.evaluation.evaluation import Evaluation
    from trainables.training.run import EpochRecord

KEEP_STATE_S = 10.0
HISTORY, CURVES, EVALUATION = "history.csv", "training_curves.png", "evaluation"


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A finished training: its plan, its epochs (by number, metrics by name) and what is said of its best one."""

    planned: PlannedTraining
    epochs: int
    best_epoch: int
    stop_reason: str
    evaluation: "Evaluation"
    wall_s: float


class TrainingWatch(Protocol):
    """Hears of a training while it runs."""

    def begin(self, planned: PlannedTraining) -> None:
        """Hear what will be trained."""

    def batch(self, done: int, of: int) -> None:
        """Hear of one batch of the running epoch."""

    def epoch(self, record: "EpochRecord") -> None:
        """Hear of one finished epoch."""


def run_training(request: TrainRequest, progress: "Progress", watch: TrainingWatch) -> TrainedModel:
    """Train one configuration, judge its best epoch on validation and, if asked for, on test.

    Raises BadInput before anything is trained, NoUsableTrial where training broke down, Interrupted when the user ended
    it: what was trained is kept.
    """
    began_s = time.monotonic()
    collect_garbage(request.home.cache, request.max_cache_bytes)
    planned = plan_training(request, progress)
    if request.task_text:
        keep_task(request.home, planned.task.name, request.task_text)
    data = planned.data
    with _alone_in(planned.folder), held([*data.development.arrays.values(), *data.test.arrays.values()]):
        setup, config = _write_inputs(planned)
        watch.begin(planned)
        history = _History(planned)
        config = config.model_copy(update={"known_epochs": history.epochs})
        reason = _train(config, setup, planned, history, watch)
        history.draw()
        evaluation = _judge(config, setup, planned, request)
    return TrainedModel(
        planned=planned,
        epochs=history.epochs,
        best_epoch=history.best_epoch,
        stop_reason=reason,
        evaluation=evaluation,
        wall_s=time.monotonic() - began_s,
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep every other training out of a folder until the end of the block. Raises BadInput where one is there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"--out {folder}: another training writes there; wait, or name a new folder") from None
        yield
    finally:
        os.close(handle)


def _write_inputs(planned: PlannedTraining) -> "tuple[TrialSetup, TrialConfig]":
    """Write the plan and the rows; return what training reads, the same as a trial of a sweep."""
    from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup, own_task
    from trainables.data.split_rows import digest_rows, write_rows

    folder, data = planned.folder, planned.data
    about = {**settings_of(planned), "threads": planned.threads, "versions": versions(), "git": git_state()}
    (folder / SETTINGS).with_suffix(PART).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (folder / SETTINGS).with_suffix(PART).replace(folder / SETTINGS)  # first and whole: what ends from here on resumes
    write_rows(folder / "development.csv", data.development.rows)
    write_rows(folder / "test.csv", data.test.rows)
    write_unreadable(folder, data)
    setup = TrialSetup(
        task=planned.task.name,
        own_task=own_task(planned.task.name),
        development=folder / "development.csv",
        development_digest=digest_rows(data.development.rows),
        arrays=data.development.arrays,
        pretrained=planned.weights == "pretrained",
        epochs=planned.epochs,
        metric=planned.metric,
        device=planned.device,
        threads=planned.threads,
        trials=folder,
        weights=planned.weights if isinstance(planned.weights, Path) else None,
        keep_state_s=KEEP_STATE_S,
    )
    config = TrialConfig(
        trial=0,
        architecture=planned.architecture,
        hyperparameters=planned.hyperparameters,
        seed=child_seed(planned.seed, SeedPath.TRIAL, 0),
        published=False,
        setup=folder / SETTINGS,
    )
    return setup, config


def _train(
    config: "TrialConfig", setup: "TrialSetup", planned: PlannedTraining, history: "_History", watch: TrainingWatch
) -> str:
    """Return why training ended; every epoch is in the history at once. One that had ended trains nothing more."""
    from orchestrator.tuning.trial import begin_training
    from trainables.training.disk import WRITING_FAULTS

    last: EpochRecord | None = None
    try:
        for last in begin_training(config, setup, watch.batch):
            history.add(last)
            watch.epoch(last)
    except KeyboardInterrupt:
        again = f"--out {planned.folder} --resume"
        raise Interrupted(f"interrupted; the same command with {again} goes on from the last state kept") from None
    except DataError as error:
        raise BadInput(f"--out {planned.folder}: {error}") from error
    except TrainingFailed as error:
        raise NoUsableTrial(" ".join(str(error).split())[:500]) from error
    except WRITING_FAULTS as error:
        raise _told_if_full(error, planned) from error
    if last is None:
        return "it had ended before"
    return last.stop_reason or f"all {planned.epochs} epochs trained"


def _judge(config: "TrialConfig", setup: "TrialSetup", planned: PlannedTraining, request: TrainRequest) -> "Evaluation":
    from orchestrator.tuning.test_data import TestData
    from orchestrator.tuning.trial import judge_trial

    folder, home = planned.folder, request.home
    test = None
    if request.test:
        require_unchanged(planned.data, folder, home.test_ledger)
        explaining = explanation_settings(planned.device == "cpu", child_seed(planned.seed, SeedPath.EXPLANATION))
        test = TestData.write(folder / "test.csv", planned.data, home.test_ledger, f"train {folder.name}", explaining)
    try:
        return judge_trial(folder / EVALUATION, config, setup, test, planned.architecture, "train --test")
    except (DataError, WeightsError) as error:
        raise BadInput(f"{folder}: {error}") from error
    except TrainingFailed as error:
        raise NoUsableTrial(str(error)) from error
    except OSError as error:
        raise _told_if_full(error, planned) from error


def _told_if_full(error: Exception, planned: PlannedTraining) -> Exception:
    """Return DiskFull for the fault of a full disk, in whatever words; any other fault as it is."""
    from trainables.training.disk import is_disk_full

    if not is_disk_full(error, planned.folder):
        return error
    again = f"free some space; the same command with --out {planned.folder} --resume goes on"
    return DiskFull(f"--out {planned.folder}: the disk is full; {again}")


class _History:
    """The epochs of a training as a table on disk, whole after every epoch; a resumed one keeps those before it."""

    def __init__(self, planned: PlannedTraining) -> None:
        self._planned = planned
        self._path = planned.folder / HISTORY
        self._rows: dict[int, dict[str, str]] = {}
        if not any(planned.folder.glob("*/state_epoch_*.pt")):
            return  # nothing goes on: what may be there is of no epoch that counts
        try:
            with self._path.open(newline="", encoding="utf-8") as file:
                self._rows = {int(row["epoch"]): row for row in csv.DictReader(file)}
            _ = [float(text) for row in self._rows.values() for name, text in row.items() if text and name != "is_best"]
            _ = self.best_epoch  # there is one, or nothing can go on
        except (OSError, ValueError, KeyError, TypeError):
            self._rows = {}  # the state tells every epoch again

    @property
    def epochs(self) -> int:
        """Return how many epochs are trained."""
        return max(self._rows, default=0)

    @property
    def best_epoch(self) -> int:
        """Return the last epoch that was better than all before it."""
        return max(epoch for epoch, row in self._rows.items() if row["is_best"] == "True")

    def add(self, record: "EpochRecord") -> None:
        """Write one more epoch, in place of what an interrupted training wrote of it and later ones."""
        self._rows = {epoch: row for epoch, row in self._rows.items() if epoch < record.epoch}
        shown = {name: "" if value is None else repr(value) for name, value in record.metrics.items()}
        self._rows[record.epoch] = {"epoch": str(record.epoch), "is_best": str(record.is_best), **shown}
        part = self._path.with_suffix(PART)
        with part.open("w", newline="", encoding="utf-8") as file:
            names = dict.fromkeys(name for row in self._rows.values() for name in row)  # memory's end adds a column
            writer = csv.DictWriter(file, fieldnames=list(names), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows.values())
        part.replace(self._path)

    def draw(self) -> None:
        """Draw the training curves."""
        history: list[Mapping[str, float | None]] = [
            {name: float(text) if text else None for name, text in row.items() if name != "is_best"}
            for row in self._rows.values()
        ]
        title = f"{self._planned.task.name}, {self._planned.architecture}"
        draw_training_curves(self._planned.folder / CURVES, history, self._planned.metric, title)
