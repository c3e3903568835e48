"""All that changes while a trial is trained: model, optimizer, rates, averaged weights and random numbers.

B: cases of a batch; P: those of a part of it, shown at once; M: images of a case.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from trainables.data.augmentation import Augmentation, augment
from trainables.inference import EVALUATION_BATCH, logits_of, predict_logits, to_input
from trainables.models import build_model, load_weights
from trainables.training.batches import epoch_batches, shown_images
from trainables.training.development import DevelopmentData
from trainables.training.objective import Objective, hardest
from trainables.training.parameters import build_optimizer, freeze_parameters, frozen_names, hold_batchnorm
from trainables.training.rates import RateSchedule, set_rates
from trainables.training.run import TrainingRun, epochs_of

BatchWatch = Callable[[int, int], None]  # hears which batch of an epoch is done, and of how many
VALIDATION_BATCHES = 4  # training batches in one of validation: without gradients, as much memory holds more images


class Learner:
    """One model in training. Deterministic on the CPU for one seed and number of threads."""

    def __init__(self, run: TrainingRun, data: DevelopmentData) -> None:
        """Build everything from the run's seed. Raises WeightsError for weights that cannot be had or do not fit."""
        torch.manual_seed(run.seed)  # initial weights and dropout have no generator of their own
        self._by, self._data = run.hyperparameters, data
        model = build_model(run.architecture, run.hyperparameters, run.num_classes, run.pretrained)
        if run.weights is not None:
            load_weights(model, run.weights)
        on_gpu = run.device == "cuda"
        layout = torch.channels_last if on_gpu else torch.contiguous_format
        self.model: nn.Module = model.to(run.device, memory_format=layout)  # type: ignore[call-overload]
        self._layout, self._half = layout, on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        self._optimizer = build_optimizer(self.model, run.hyperparameters)
        self._ema = (
            ModelEmaV3(self.model, decay=self._by["ema_decay"], use_warmup=True) if self._by["ema_decay"] else None
        )
        self._labels_N = data.labels_N.cpu()
        self._objective = Objective(self._by, data.labels_N[data.training_rows.to(run.device)], run.num_classes)
        self._augmentation = Augmentation.of(self._by)
        self._frozen = frozen_names(self.model, self._by.get("freeze", "none"))
        self._order = torch.Generator().manual_seed(run.seed)
        self._draws = torch.Generator(run.device).manual_seed(run.seed)
        self._step = 0
        self._plain_copies: bool = self._by.get("plain_copies", False)  # of older journals
        self.shown = shown_images(len(data.training_rows), self._plain_copies)
        batches = -(-self.shown // self._by["batch_size"])
        self.rates = RateSchedule.of(self._by, batches * epochs_of(run))

    @property
    def kept(self) -> nn.Module:
        """Return the model that is validated and kept: the averaged one where weights are averaged."""
        return self.model if self._ema is None else self._ema.module

    def train_epoch(self, epoch: int, watch: BatchWatch | None = None) -> tuple[float, float]:
        """Take one step per batch; return the mean objective and the share of right answers, as seen in training."""
        self._prepare(epoch)
        balanced = self._by["imbalance"] == "weighted_sampler"
        batches = epoch_batches(
            self._data.training_rows,
            self._labels_N,
            self._by["batch_size"],
            balanced=balanced,
            plain_copies=self._plain_copies,
            generator=self._order,
        )
        totals_2 = torch.zeros(2, device=self._data.labels_N.device)  # read at the end: every read waits for the device
        sizes = [len(rows_B) for rows_B in batches.rows]
        plain = torch.cat(batches.plain).to(self._data.labels_N.device).split(sizes)  # at once, as the rows
        shown = zip(self._data.epoch(batches.rows), plain, strict=True)
        for number, ((rows_B, labels_B), plain_B) in enumerate(shown, start=1):
            totals_2 += len(rows_B) * self._take_step(rows_B, labels_B, plain_B, epoch)
            if watch:
                watch(number, len(batches.rows))
        loss, accuracy = (totals_2 / self.shown).tolist()
        return loss, accuracy

    def validate(self) -> np.ndarray:
        """Return logits_NK of the validation rows by what is kept."""
        micro, batch = self._by["micro_batch_size"], self._by["batch_size"]
        batch_size = VALIDATION_BATCHES * micro if micro else max(EVALUATION_BATCH, VALIDATION_BATCHES * batch)
        rows = self._data.validation_rows
        return predict_logits(self.kept, self._data.images_NMHW, rows, batch_size, half=self._half)

    def take_first_step(self) -> float:
        """Train on the first batch once and return the loss: proof that the model builds, fits and trains."""
        self._prepare(1)
        ((rows_B, labels_B),) = self._data.epoch([self._data.training_rows[: self._by["batch_size"]]])
        return float(self._take_step(rows_B, labels_B, torch.zeros_like(labels_B, dtype=torch.bool), 1)[0])

    def state(self) -> dict[str, Any]:
        """Return tensors and plain values from which `restore` goes on exactly."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "ema": self._ema.module.state_dict() if self._ema else None,
            "rates": asdict(self.rates),
            "step": self._step,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self._data.labels_N.is_cuda else None,
            "order": self._order.get_state(),
            "draws": self._draws.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same run."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._ema:
            self._ema.module.load_state_dict(state["ema"])
        self.rates = RateSchedule(**state["rates"])
        self._step = state["step"]
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None:
            torch.cuda.set_rng_state(state["random_cuda"].cpu())
        self._order.set_state(state["order"].cpu())
        self._draws.set_state(state["draws"].cpu())

    def _prepare(self, epoch: int) -> None:
        self.model.train()
        if self._frozen:
            until = self._by["unfreeze_epoch"]
            freeze_parameters(self.model, set() if until and epoch >= until else self._frozen)
            if self._by["freeze_batchnorm"]:
                hold_batchnorm(self.model)

    def _take_step(
        self, rows_B: torch.Tensor, labels_B: torch.Tensor, plain_B: torch.Tensor, epoch: int
    ) -> torch.Tensor:
        """Return (mean objective, share of right answers) of one batch, still on the device."""
        x_BMHW = to_input(self._data.take(rows_B))
        changed_BMHW = augment(x_BMHW, self._augmentation, self._draws)
        if self._plain_copies:
            changed_BMHW = torch.where(plain_B.view(-1, 1, 1, 1), x_BMHW, changed_BMHW)
        x_BMHW = changed_BMHW
        set_rates(self._optimizer, self.rates.factor(self._step))
        self._optimizer.zero_grad(set_to_none=True)
        mining = self._by["imbalance"] == "hem" and epoch > self._by["hem_warmup_epochs"]
        measured_2 = self._mine(x_BMHW, labels_B) if mining else self._backward(x_BMHW, labels_B)
        if self._by["grad_clip"]:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._by["grad_clip"])
        self._optimizer.step()
        self._step += 1
        if self._ema:
            self._ema.update(self.model, self._step)
        return measured_2

    def _backward(self, x_BMHW: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Add up the gradients of the batch's mean objective, part by part."""
        divisor = self._objective.divisor(labels_B)
        measured_2 = torch.zeros(2, device=x_BMHW.device)
        for x_PMHW, labels_P in zip(self._parts(x_BMHW), self._parts(labels_B), strict=True):
            logits_PK = self._forward(x_PMHW)
            loss = self._objective.losses(logits_PK, labels_P).sum() / divisor
            loss.backward()
            measured_2 += torch.stack([loss.detach(), _right(logits_PK, labels_P).sum() / len(labels_B)])
        return measured_2

    def _mine(self, x_BMHW: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Train on the hardest images of the batch alone, shown again or by the losses that found them."""
        if self._by["hem_mode"] == "reuse_loss":
            logits_BK = self._forward(x_BMHW)
            losses_B = self._objective.losses(logits_BK, labels_B)
            loss = losses_B[hardest(losses_B.detach(), self._by["hem_fraction"])].mean()
            loss.backward()
            return torch.stack([loss.detach(), _right(logits_BK, labels_B).mean()])
        with torch.no_grad():
            logits_BK = torch.cat([self._forward(x_PMHW) for x_PMHW in self._parts(x_BMHW)])
            chosen_H = hardest(self._objective.losses(logits_BK, labels_B), self._by["hem_fraction"])
        loss, _ = self._backward(x_BMHW[chosen_H], labels_B[chosen_H])
        return torch.stack([loss, _right(logits_BK, labels_B).mean()])

    def _parts(self, values_B: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parts: tuple[torch.Tensor, ...] = values_B.split(self._by["micro_batch_size"] or len(values_B))
        return parts

    def _forward(self, x_BMHW: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x_BMHW.device.type, dtype=torch.bfloat16, enabled=self._half):
            return logits_of(self.model, x_BMHW, self._layout)


def _right(logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
    return (logits_BK.argmax(dim=1) == labels_B).float()
