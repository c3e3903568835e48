"""One generator trains every architecture: `for epoch in train(run)`. Who logs and who stops is not known here."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from trainables.data.augmentation import flip_and_rotate
from trainables.data.cache import open_images
from trainables.data.split_rows import SplitRow
from trainables.errors import TrainingFailed
from trainables.evaluation.metrics import classification_metrics, is_better
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS
from trainables.inference import predict_probabilities, to_input
from trainables.models import build_model, save_weights


@dataclass(frozen=True, kw_only=True)
class DevelopmentData:
    """Development images on the device (uint8 images_NHW, labels_N) and which rows train and validate."""

    images_NHW: torch.Tensor
    labels_N: torch.Tensor
    training_rows: torch.Tensor
    validation_rows: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What one trial needs; `folder` receives the weights and predictions of its best validation epoch."""

    architecture: str
    hyperparameters: Mapping[str, Any]
    num_classes: int
    pretrained: bool
    epochs: int
    seed: int
    metric: str
    device: str
    folder: Path


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch: metrics by name (`train/`, `val/`, `perf/`), and whether it is the best so far."""

    epoch: int
    metrics: dict[str, float | None]
    is_best: bool


def load_development(rows: list[SplitRow], images: Path, device: str) -> DevelopmentData:
    """Put the decoded development images on the device; on the CPU they stay memory-mapped, one copy for all trials."""
    held_N = torch.tensor([row.side == "validation" for row in rows])
    return DevelopmentData(
        images_NHW=torch.from_numpy(open_images(images)).to(device),
        labels_N=torch.tensor([row.label for row in rows]).to(device),
        training_rows=torch.nonzero(~held_N).squeeze(1),
        validation_rows=torch.nonzero(held_N).squeeze(1),
    )


def train(run: TrainingRun, data: DevelopmentData) -> Iterator[EpochRecord]:
    """Train for run.epochs epochs, validating after each; keeps the weights of the best validation epoch.

    Cross entropy and AdamW. Deterministic on the CPU for one seed and number of threads. Raises TrainingFailed
    when the loss is no longer finite.
    """
    torch.manual_seed(run.seed)
    generator = torch.Generator().manual_seed(run.seed)
    model = build_model(run.architecture, run.hyperparameters, run.num_classes, run.pretrained).to(run.device)
    optimizer = _build_optimizer(model, run.hyperparameters)
    validation_labels_N = data.labels_N.cpu().numpy()[data.validation_rows]
    best: dict[str, float | None] | None = None
    for epoch in range(1, run.epochs + 1):
        started_s = time.perf_counter()
        train_loss = _train_epoch(run, model, optimizer, data, generator)
        if not np.isfinite(train_loss):
            lr = run.hyperparameters["lr"]
            raise TrainingFailed(f"epoch {epoch}: training loss is {train_loss}; is the learning rate {lr:g} too high?")
        probs_NK = predict_probabilities(model, data.images_NHW, data.validation_rows)
        if not np.isfinite(probs_NK).all():
            raise TrainingFailed(f"epoch {epoch}: validation predictions are not finite")
        scores = classification_metrics(probs_NK, validation_labels_N)
        is_best = is_better(scores, best, run.metric)
        if is_best:
            best = scores
            save_weights(model, run.folder / BEST_WEIGHTS)
            np.savez(run.folder / BEST_VALIDATION, probs_NK=probs_NK, labels_N=validation_labels_N, epoch=epoch)
        epoch_s = time.perf_counter() - started_s
        measured: dict[str, float | None] = {
            "train/loss": train_loss,
            **{f"val/{name}": value for name, value in scores.items()},
            "perf/epoch_s": epoch_s,
            "perf/images_per_s": len(data.training_rows) / epoch_s,
        }
        yield EpochRecord(epoch, measured, is_best)


def take_step(model: nn.Module, hyperparameters: Mapping[str, Any], data: DevelopmentData) -> float:
    """Train on one batch once and return the loss: the preflight's proof that the model builds, fits and trains."""
    model.train()
    optimizer = _build_optimizer(model, hyperparameters)
    rows_B = data.training_rows[: hyperparameters["batch_size"]].to(data.images_NHW.device)
    return float(_step(model, optimizer, hyperparameters, data, rows_B, torch.Generator().manual_seed(0)))


def _build_optimizer(model: nn.Module, hyperparameters: Mapping[str, Any]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=hyperparameters["lr"], weight_decay=hyperparameters["weight_decay"])


def _train_epoch(
    run: TrainingRun,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: DevelopmentData,
    generator: torch.Generator,
) -> float:
    """Take one step per batch and return the mean loss; batches differ by one sample at most, so none is tiny."""
    model.train()
    num_images = len(data.training_rows)
    num_batches = -(-num_images // run.hyperparameters["batch_size"])
    order_N = data.training_rows[torch.randperm(num_images, generator=generator)].to(run.device)
    loss_sum = torch.zeros((), device=run.device)
    for rows_B in order_N.tensor_split(num_batches):
        loss = _step(model, optimizer, run.hyperparameters, data, rows_B, generator)
        loss_sum += loss * len(rows_B)
    return float(loss_sum) / num_images


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    hyperparameters: Mapping[str, Any],
    data: DevelopmentData,
    rows_B: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    x_B1HW = flip_and_rotate(
        to_input(data.images_NHW[rows_B]),
        hflip=hyperparameters["hflip"],
        rotation_deg=hyperparameters["rotation_deg"],
        generator=generator,
    )
    loss = F.cross_entropy(model(x_B1HW), data.labels_N[rows_B])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()
