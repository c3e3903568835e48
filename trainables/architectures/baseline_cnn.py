"""Two convolutions and one hidden layer, on raw grey. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

WIDTHS = (32, 64)
HIDDEN = 128


class BaselineCNN(nn.Module):
    """Grey images in [0, 1] -> logits; trained on 0..255 without normalisation, as published."""

    def __init__(self, *, image_px: int, num_classes: int) -> None:
        super().__init__()
        self._image_px = image_px
        first, second = WIDTHS
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(first),  # after the pool, and none in the second block, as published
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(second * (image_px // 4) ** 2, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, num_classes),
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel, or three whose mean counts; ValueError for other inputs."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        raw_B1HW = x_BCHW.mean(dim=1, keepdim=True) * 255
        logits_BK: torch.Tensor = self.head(self.features(raw_B1HW))
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; there are no pretrained weights of it."""
    return BaselineCNN(image_px=hyperparameters["image_px"], num_classes=num_classes)
