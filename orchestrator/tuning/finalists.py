"""Finalists: the best epoch's weights on validation and, once, on test, as Ray tasks on the sweep's slots."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from pydantic import BaseModel, ConfigDict

from orchestrator.journal import FinalistEvaluated
from orchestrator.test_ledger import TestRead, record_test_read
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.data.cache import digest_file, open_images
from trainables.data.split_rows import SplitRow, read_rows
from trainables.errors import DataError
from trainables.evaluation.intervals import GroupedIntervals, grouped_intervals
from trainables.evaluation.metrics import classification_metrics
from trainables.evaluation.predictions import write_predictions
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.inference import predict_probabilities
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
    classes: tuple[str, ...]
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
    """Start the evaluation of one finalist; its folder receives predictions and metrics."""
    task: Any = ray.remote(num_cpus=1, num_gpus=gpu_share)(evaluate_finalist)
    reference: ray.ObjectRef[FinalistEvaluated] = task.remote(config, setup, test, folder)
    return reference


def evaluate_finalist(config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path) -> FinalistEvaluated:
    """Return metrics on validation, on test and on its leak-free part, on test with 95 % intervals by group.

    Writes metrics.json and predictions into the folder.
    """
    torch.set_num_threads(setup.threads)
    torch.backends.cudnn.allow_tf32 = False  # the same probabilities as on the CPU of those who predict
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(config.architecture, config.hyperparameters, setup.num_classes)
    load_weights(model, setup.trial_folder(config.trial) / BEST_WEIGHTS)
    model.to(setup.device)
    side_px = int(config.hyperparameters["image_px"])
    development = read_rows(setup.development, setup.development_digest)
    sides = {
        "validation": (development, open_images(setup.arrays[side_px])),
        "test": test.open(f"trial {config.trial} ({config.architecture})", side_px),
    }
    metrics: dict[str, dict[str, float | None]] = {}
    spread: dict[str, object] = {}
    evaluated = FinalistEvaluated(trial=config.trial, validation={}, test={})
    for side, (rows, images_NHW) in sides.items():
        chosen = [row for row, record in enumerate(rows) if record.side == side]
        on_device_NHW = torch.from_numpy(images_NHW).to(setup.device)
        probs_NK = predict_probabilities(model, on_device_NHW, torch.tensor(chosen))
        own: list[SplitRow] = [rows[row] for row in chosen]
        labels_N = np.array([row.label for row in own])
        metrics[side] = classification_metrics(probs_NK, labels_N)
        write_predictions(folder / f"predictions_{side}.csv", own, test.classes, probs_NK)
        if side == "test":
            found = _intervals(own, probs_NK, labels_N)
            evaluated = evaluated.model_copy(update={"test_intervals": found.bounds, "test_groups": found.groups})
            evaluated = _leak_free(evaluated, own, probs_NK, labels_N)
            spread = {"intervals": found.bounds, "no_interval": found.reasons, "groups": found.groups}
    if evaluated.test_leak_free is not None:
        metrics["test_leak_free"] = evaluated.test_leak_free
    (folder / "metrics.json").write_text(json.dumps({**metrics, "test_95_percent": spread}, indent=2))
    return evaluated.model_copy(update={"validation": metrics["validation"], "test": metrics["test"]})


def _intervals(rows: list[SplitRow], probs_NK: np.ndarray, labels_N: np.ndarray) -> GroupedIntervals:
    return grouped_intervals(probs_NK, labels_N, np.array([row.group for row in rows]))


def _leak_free(
    evaluated: FinalistEvaluated, rows: list[SplitRow], probs_NK: np.ndarray, labels_N: np.ndarray
) -> FinalistEvaluated:
    """Add the metrics on the images that development has not seen, or why there are none."""
    clean_N = np.array([row.leak == "" for row in rows])
    found: dict[str, object] = {"leak_free_images": int(clean_N.sum())}
    if not clean_N.any():
        found["leak_free_reason"] = "development has seen every test image"
    else:
        clean = [row for row in rows if row.leak == ""]
        found["test_leak_free"] = classification_metrics(probs_NK[clean_N], labels_N[clean_N])
        found["leak_free_intervals"] = _intervals(clean, probs_NK[clean_N], labels_N[clean_N]).bounds
        if len(np.unique(labels_N[clean_N])) < 2:
            found["leak_free_reason"] = "the leak-free test images are of one class"
    return evaluated.model_copy(update=found)
