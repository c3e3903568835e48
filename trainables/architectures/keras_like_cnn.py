"""Five blocks and two hidden layers, on raw grey. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (16, 64, 128, 256, 512)
DROPPED = (2, 4)  # blocks, from 0, after which `dropout` stands; after the first its own
HIDDEN = (128, 64)


class KerasLikeCNN(nn.Module):
    """Grey images in [0, 1] -> logits; trained on 0..255 without normalisation, as the dementia project did.

    In the head, too, batch norm stands after the ReLU (ours: only its place in the blocks is known).
    """

    def __init__(self, config: Mapping[str, Any], *, num_classes: int) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        rates = [config["first_dropout"], *(config["dropout"] * (block in DROPPED) for block in range(1, len(WIDTHS)))]
        self.blocks = nn.Sequential(
            *(Block(*sizes) for sizes in zip([1, *WIDTHS], WIDTHS, rates, strict=False)),
        )
        first, second = HIDDEN
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(WIDTHS[-1] * (self._image_px // 2 ** len(WIDTHS)) ** 2, first),
            nn.ReLU(),
            BatchNorm1d(first),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Dropout(config["dropout"]),
            nn.Linear(second, num_classes),
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel, or three whose mean counts; ValueError for other inputs."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        raw_B1HW = x_BCHW.mean(dim=1, keepdim=True) * 255
        logits_BK: torch.Tensor = self.head(self.blocks(raw_B1HW))
        return logits_BK


class Block(nn.Sequential):
    """Convolution, ReLU, batch norm, half the side, dropout."""

    def __init__(self, before: int, width: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, width, 3, padding=1)
        self.act = nn.ReLU()
        self.norm = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch norm that takes a batch of one image, which has no variance, as in evaluation."""

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        """Return features of mean 0 and variance 1, scaled and shifted."""
        if self.training and len(x_BF) == 1:
            return F.batch_norm(x_BF, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x_BF)


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; there are no pretrained weights of it."""
    return KerasLikeCNN(hyperparameters, num_classes=num_classes)
