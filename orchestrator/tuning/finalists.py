"""Finalists: the best epoch's weights on validation and, once, on test, as Ray tasks on the sweep's slots."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from pydantic import BaseModel, ConfigDict

from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.data.cache import open_images
from trainables.data.prepare import SplitRow, read_rows
from trainables.evaluation.metrics import classification_metrics
from trainables.evaluation.predictions import write_predictions
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.inference import predict_probabilities
from trainables.models import build_model, load_weights


class TestData(BaseModel):
    """Where the test images are; only the evaluation of finalists is given one."""

    __test__ = False  # not a test class, whatever pytest thinks of the name
    model_config = ConfigDict(frozen=True)

    rows: Path
    arrays: dict[int, Path]
    classes: tuple[str, ...]


def submit_finalist(
    config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path, gpu_share: float
) -> "ray.ObjectRef[dict[str, dict[str, float | None]]]":
    """Start the evaluation of one finalist; its folder receives predictions and metrics."""
    task: Any = ray.remote(num_cpus=1, num_gpus=gpu_share)(evaluate_finalist)
    reference: ray.ObjectRef[dict[str, dict[str, float | None]]] = task.remote(config, setup, test, folder)
    return reference


def evaluate_finalist(
    config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path
) -> dict[str, dict[str, float | None]]:
    """Return metrics on validation and test; write metrics.json and predictions of each side."""
    torch.set_num_threads(setup.threads)
    torch.backends.cudnn.allow_tf32 = False  # the same probabilities as on the CPU of those who predict
    folder.mkdir(parents=True, exist_ok=True)
    model = build_model(config.architecture, config.hyperparameters, setup.num_classes)
    load_weights(model, setup.trial_folder(config.trial) / BEST_WEIGHTS)
    model.to(setup.device)
    side_px = int(config.hyperparameters["image_px"])
    sides = {
        "validation": (read_rows(setup.development), setup.arrays[side_px]),
        "test": (read_rows(test.rows), test.arrays[side_px]),
    }
    metrics: dict[str, dict[str, float | None]] = {}
    for side, (rows, images) in sides.items():
        chosen = [row for row, record in enumerate(rows) if record.side == side]
        images_NHW = torch.from_numpy(open_images(images)).to(setup.device)
        probs_NK = predict_probabilities(model, images_NHW, torch.tensor(chosen))
        own: list[SplitRow] = [rows[row] for row in chosen]
        labels_N = np.array([row.label for row in own])
        metrics[side] = classification_metrics(probs_NK, labels_N)
        write_predictions(folder / f"predictions_{side}.csv", own, test.classes, probs_NK)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2))
    return metrics
