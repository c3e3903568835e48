"""Two paths of convolutions side by side, on raw grey. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class StudyModel(nn.Module):
    """Grey images in [0, 1] -> logits; trained on 0..255 without normalisation, as the dementia project did.

    A path of 3 x 3 kernels and one of 5 x 5 and twice the width look at the same image; what they say is concatenated.
    The ReLU after each path's own hidden layer is ours.
    """

    def __init__(self, config: Mapping[str, Any], *, num_classes: int) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        width, hidden = config["base_width"], 8 * config["base_width"]
        self.path_3x3 = _path(width, 3, hidden, config)
        self.path_5x5 = _path(2 * width, 5, hidden, config)
        self.head = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel, or three whose mean counts; ValueError for other inputs."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        raw_B1HW = x_BCHW.mean(dim=1, keepdim=True) * 255
        logits_BK: torch.Tensor = self.head(torch.cat([self.path_3x3(raw_B1HW), self.path_5x5(raw_B1HW)], dim=1))
        return logits_BK


def _path(width: int, kernel: int, hidden: int, config: Mapping[str, Any]) -> nn.Sequential:
    """Return two blocks of two convolutions and one of one, four times as wide each; batch norm stands in the last."""
    features = nn.Sequential()  # to the last activations, which explanations look at
    widths = [width, width, 4 * width, 4 * width, 16 * width]
    for place, (before, after) in enumerate(zip([1, *widths], widths, strict=False)):
        if place and before != after:
            features.append(nn.MaxPool2d(2))
        features.extend([nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.ReLU()])
    return nn.Sequential(
        features,
        nn.MaxPool2d(2),
        nn.BatchNorm2d(widths[-1]),
        nn.Dropout(config["dropout"]),
        nn.Flatten(),
        nn.Linear(widths[-1] * (config["image_px"] // 8) ** 2, hidden),
        nn.ReLU(),
    )


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; there are no pretrained weights of it."""
    return StudyModel(hyperparameters, num_classes=num_classes)
