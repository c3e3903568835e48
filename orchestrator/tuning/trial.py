"""One trial, wherever it runs: its epochs, and its best model judged."""

import gc
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from orchestrator.tuning.hang_guard import guarded
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.data.cache import open_cases
from trainables.data.split_rows import SplitRow, read_rows
from trainables.data.views import View
from trainables.errors import OutOfMemory, StateError
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS
from trainables.models import build_model, load_weights
from trainables.training.checkpoint import state_files
from trainables.training.development import DevelopmentData, load_development
from trainables.training.learner import BatchWatch
from trainables.training.loop import train
from trainables.training.run import EpochRecord, TrainingRun, half_at_once

if TYPE_CHECKING:
    from trainables.evaluation.evaluation import Evaluation
    from trainables.judging import Explaining

MICRO_BATCH = "perf/micro_batch_size"  # images at a time, where memory forced another number than asked for


def begin_training(config: TrialConfig, setup: TrialSetup, watch: BatchWatch | None = None) -> Iterator[EpochRecord]:
    """Return the epochs of one trial; its folder receives the best weights. `watch` hears of every batch.

    Where memory ends, it goes on once with half as many images at a time and the same effective batch.
    """
    torch.set_num_threads(setup.threads)
    folder = setup.trial_folder(config)
    folder.mkdir(parents=True, exist_ok=True)
    view = View.of(config.hyperparameters)
    rows = read_rows(setup.development, setup.development_digest)
    data = load_development(_of_fold(rows, config), setup.images(view.name), setup.device)
    task = setup.task_record
    run = TrainingRun(
        architecture=config.architecture,
        hyperparameters=config.hyperparameters,
        num_classes=len(task.classes),
        pretrained=setup.pretrained,
        epochs=setup.epochs,
        seed=config.seed,
        metric=setup.metric,
        device=setup.device,
        folder=folder,
        data_digest=setup.development_digest,
        severity_K=task.severity_K,
        weights=setup.weights,
        keep_state_s=setup.keep_state_s,
        state_wanted=setup.state_wanted,
        known_epochs=config.known_epochs,
        keep_every_epochs=0 if config.is_again else setup.keep_every_epochs,
    )
    return _with_room(run, data, watch)


def begin_or_begin_anew(config: TrialConfig, setup: TrialSetup) -> Iterator[EpochRecord]:
    """Yield the epochs of one trial; where none of its kept states can be read it begins anew, as it once did."""
    folder = setup.trial_folder(config)
    try:
        yield from begin_training(config, setup)
    except StateError:
        for path in state_files(folder):
            path.unlink(missing_ok=True)
        yield from begin_training(config, setup)


def train_weights_again(config: TrialConfig, setup: TrialSetup) -> None:
    """Train a trial to its best epoch once more, from its number and no state, for the weights that were lost.

    They come into its folder when they are whole. `setup` has the epochs that the trial was planned for.
    """
    folder = setup.trial_folder(config)
    aside = setup.model_copy(update={"trials": folder / "again", "keep_state_s": None, "keep_every_epochs": 0})
    again = config.model_copy(update={"known_epochs": 0})
    for record in guarded(begin_training(again, aside), setup, config.architecture):
        if record.epoch >= config.best_epoch:
            break
    for name in (BEST_VALIDATION, BEST_WEIGHTS):
        (aside.trial_folder(config) / name).replace(folder / name)
    shutil.rmtree(aside.trials)


def _with_room(run: TrainingRun, data: DevelopmentData, watch: BatchWatch | None) -> Iterator[EpochRecord]:
    """Yield the epochs of a run; where memory ends it goes on with half as many images at once, as often as needed."""
    forced: dict[str, float | None] = {}
    while True:
        try:
            for record in train(run, data, watch):
                if record.epoch > run.known_epochs:
                    yield replace(record, metrics={**record.metrics, **forced})
                    run = replace(run, known_epochs=record.epoch)
            return
        except OutOfMemory:
            halved = half_at_once(run.hyperparameters)
            if not halved:
                raise
        gc.collect()  # what the failed step held
        if run.device == "cuda":
            torch.cuda.empty_cache()
        run = replace(run, hyperparameters={**run.hyperparameters, "micro_batch_size": halved})
        forced = {MICRO_BATCH: float(halved)}


def _of_fold(rows: list[SplitRow], config: TrialConfig) -> list[SplitRow]:
    """Return the rows with the sides that they have in a fold; the first fold is the one that they are stored with."""
    if config.over != "fold" or config.index == 0:
        return rows
    return [replace(row, side="validation" if row.fold == config.index else "training") for row in rows]


def judge_trial(
    folder: Path, config: TrialConfig, setup: TrialSetup, test: TestData | None, name: str, why: str
) -> "Evaluation":
    """Judge the model of a trial's best epoch on validation, and on test where that is given: name and why are noted.

    `folder` receives tables and figures. Raises DataError where the data were changed since the plan.
    """
    from trainables.judging import SideImages, judge  # figures and statistics, which no trial needs

    torch.set_num_threads(setup.threads)
    torch.backends.cudnn.allow_tf32 = False  # the same probabilities as on the CPU of those who predict
    task = setup.task_record
    model = build_model(config.architecture, config.hyperparameters, len(task.classes))
    load_weights(model, setup.trial_folder(config) / BEST_WEIGHTS)
    try:
        model.to(setup.device)
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("evaluation: the device has no room for the model; free it and resume") from error
    view = View.of(config.hyperparameters)
    rows = read_rows(setup.development, setup.development_digest)
    return judge(
        folder,
        task,
        model,
        f"{task.name}, {name}",
        SideImages.of(rows, open_cases(setup.images(view.name), len(rows)), "validation"),
        None if test is None else SideImages(*test.open(name, view.name, why)),
        None if test is None else _explaining(config, test, view),
    )


def _explaining(config: TrialConfig, test: TestData, view: View) -> "Explaining":
    from trainables.judging import Explaining

    return Explaining(config.architecture, test.explaining, partial(test.lesion_masks(), view=view))
