"""A tiny data set with a planted difference, and runs of the smallest models on it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trainables.catalog import default_hyperparameters
from trainables.training.development import DevelopmentData
from trainables.training.run import TrainingRun

TINY = {"resnet": "test_resnet", "vit": "test_vit", "image_px": 32, "batch_size": 8, "lr": 1e-3, "hidden": 16}


def blobs(num_images: int = 64) -> DevelopmentData:
    """Noise, with a bright blob in the images of class 1."""
    generator = np.random.default_rng(0)
    images_NHW = generator.integers(0, 120, (num_images, 32, 32), dtype=np.uint8)
    labels_N = np.arange(num_images) % 2
    images_NHW[labels_N == 1, 8:20, 8:20] += 100
    rows = torch.arange(num_images)
    return DevelopmentData(
        images_NMHW=torch.from_numpy(images_NHW)[:, None],
        labels_N=torch.from_numpy(labels_N),
        training_rows=rows[: num_images * 3 // 4],
        validation_rows=rows[num_images * 3 // 4 :],
    )


def run(
    folder: Path, seed: int = 0, epochs: int = 3, metric: str = "auroc", keep_state_s: float | None = None, **changes
) -> TrainingRun:
    tiny = run_of("resnet_vit", folder, epochs, **TINY | changes)
    return replace(tiny, seed=seed, metric=metric, keep_state_s=keep_state_s)


def run_of(architecture: str, folder: Path, epochs: int, **changes) -> TrainingRun:
    """Return a run of any architecture on `blobs`."""
    torch.set_num_threads(1)
    return TrainingRun(
        architecture=architecture,
        hyperparameters=default_hyperparameters(architecture) | changes,
        num_classes=2,
        pretrained=False,
        epochs=epochs,
        seed=0,
        metric="auroc",
        device="cpu",
        folder=folder,
    )


def scores(records) -> list[dict]:
    return [{k: v for k, v in record.metrics.items() if not k.startswith("perf/")} for record in records]
