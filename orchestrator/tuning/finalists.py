"""Finalists: the best epoch's weights on validation and, once, on test, as Ray tasks on the sweep's slots."""

from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from orchestrator.journal import FinalistEvaluated
from orchestrator.test_ledger import TestRead, record_test_read
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.catalog import TASKS
from trainables.data.cache import digest_file, open_images
from trainables.data.split_rows import SplitRow, read_rows
from trainables.errors import DataError
from trainables.evaluation.evaluation import Evaluation
from trainables.evaluation.named_metrics import named_metrics
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.judging import SideImages, judge
from trainables.models import build_model, load_weights


class TestData(BaseModel):
    """Where the test images are; only the evaluation of finalists is given one, and opening it is noted."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
    model_config = ConfigDict(frozen=True)

    rows: Path
    rows_digest: str
    test_digest: str
    arrays: dict[int, Path]
    array_digests: dict[int, str]
    task: str
    ledger: Path
    sweep_id: str

    def open(self, model: str, side_px: int) -> tuple[list[SplitRow], np.ndarray]:
        """Return rows and images_NHW after a line in the ledger. Raises DataError where either was changed."""
        rows = read_rows(self.rows, self.rows_digest)
        if digest_file(self.arrays[side_px]) != self.array_digests[side_px]:
            raise DataError(f"{self.arrays[side_px]}: the decoded test images were changed since the plan")
        record_test_read(
            self.ledger,
            TestRead(
                test_digest=self.test_digest,
                images=len(rows),
                purpose="evaluation",
                who=self.sweep_id,
                model=model,
                why="final evaluation of a finalist",
            ),
        )
        return rows, open_images(self.arrays[side_px])


def submit_finalist(
    config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path, gpu_share: float
) -> "ray.ObjectRef[FinalistEvaluated]":
    """Start the evaluation of one finalist; its folder receives metrics and tables."""
    task: Any = ray.remote(num_cpus=1, num_gpus=gpu_share)(evaluate_finalist)
    reference: ray.ObjectRef[FinalistEvaluated] = task.remote(config, setup, test, folder)
    return reference


def evaluate_finalist(config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path) -> FinalistEvaluated:
    """Return what the journal keeps of a finalist on validation and test; its folder receives all of it."""
    torch.set_num_threads(setup.threads)
    model = load_best(config, setup, setup.trial_folder(config.trial))
    side_px = int(config.hyperparameters["image_px"])
    rows = read_rows(setup.development, setup.development_digest)
    evaluation = judge(
        folder,
        TASKS[test.task],
        model,
        f"{test.task}, trial {config.trial} ({config.architecture})",
        SideImages.of(rows, open_images(setup.arrays[side_px]), "validation"),
        SideImages(*test.open(f"trial {config.trial} ({config.architecture})", side_px)),
    )
    return _for_journal(config.trial, evaluation)


def load_best(config: TrialConfig, setup: TrialSetup, folder: Path) -> nn.Module:
    """Return the model of the best epoch that training left in `folder`, on the trials' device."""
    torch.backends.cudnn.allow_tf32 = False  # the same probabilities as on the CPU of those who predict
    model = build_model(config.architecture, config.hyperparameters, setup.num_classes)
    load_weights(model, folder / BEST_WEIGHTS)
    return model.to(setup.device)


def _for_journal(trial: int, evaluation: Evaluation) -> FinalistEvaluated:
    test, leak_free = evaluation.test, evaluation.test_leak_free
    assert test is not None and leak_free is not None
    return FinalistEvaluated(
        trial=trial,
        validation=evaluation.validation.overall.metrics,
        test=test.overall.metrics,
        test_intervals=test.overall.intervals,
        test_groups=test.overall.groups,
        test_leak_free=leak_free.scores.metrics if leak_free.scores else None,
        leak_free_intervals=leak_free.scores.intervals if leak_free.scores else {},
        leak_free_images=leak_free.images,
        leak_free_reason=leak_free.reason,
        further=named_metrics(evaluation),
    )
