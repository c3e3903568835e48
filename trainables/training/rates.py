"""The learning rate over the steps of a trial, as a factor on the rate that was asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

ONE_CYCLE_START = 1 / 25  # as torch.optim.lr_scheduler.OneCycleLR
ONE_CYCLE_END = ONE_CYCLE_START / 1e4


@dataclass
class RateSchedule:
    """Factor of every step; `plateau_factor` shrinks by what the epochs brought, all else is a function of the step."""

    kind: str
    total_steps: int
    warmup_steps: int
    shrink: float
    patience: int
    plateau_factor: float = 1.0
    epochs_without_gain: int = 0

    @classmethod
    def of(cls, hyperparameters: Mapping[str, Any], total_steps: int) -> "RateSchedule":
        """Return the schedule of a trial of so many steps."""
        kind = hyperparameters["lr_schedule"]
        warmup = 0.0 if kind == "none" else hyperparameters["warmup_fraction"]
        return cls(
            kind=kind,
            total_steps=total_steps,
            warmup_steps=round(warmup * total_steps),
            shrink=hyperparameters["plateau_factor"],
            patience=hyperparameters["plateau_patience"],
        )

    def factor(self, step: int) -> float:
        """Return the factor of a step, counted from 0."""
        rising = step < self.warmup_steps
        left = max(1, self.total_steps - self.warmup_steps)
        progress = (step + 1) / self.warmup_steps if rising else min(1.0, (step - self.warmup_steps) / left)
        if self.kind == "onecycle":
            return _cosine(ONE_CYCLE_START, 1, progress) if rising else _cosine(1, ONE_CYCLE_END, progress)
        if rising:
            return progress
        return _cosine(1, 0, progress) if self.kind == "cosine" else self.plateau_factor

    def end_epoch(self, is_best: bool) -> None:
        """Shrink a plateau's rate after more than `patience` epochs without a better one."""
        self.epochs_without_gain = 0 if is_best else self.epochs_without_gain + 1
        if self.kind == "plateau" and self.epochs_without_gain > self.patience:
            self.plateau_factor *= self.shrink
            self.epochs_without_gain = 0


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give each group its own rate (`full_lr`) times the factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
