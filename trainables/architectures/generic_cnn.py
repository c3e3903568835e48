"""Blocks of one convolution each, on raw grey. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class GenericCNN(nn.Module):
    """Grey images in [0, 1] -> logits; trained on 0..255 without normalisation, as the dementia project did.

    A block is convolution, ReLU and pool, with batch norm after the pool or the ReLU, or none; each further one has
    twice as many channels.
    """

    def __init__(self, config: Mapping[str, Any], *, num_classes: int) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        widths = [config["base_width"] * 2**block for block in range(config["conv_blocks"])]
        kernel = config["kernel_size"]
        self.features = nn.Sequential()  # to the last activations, which explanations look at
        self.pooled = nn.Sequential()  # what follows them
        for before, width in zip([1, *widths], widths, strict=False):
            is_last = width == widths[-1]
            self.features.extend([nn.Conv2d(before, width, kernel, padding=kernel // 2), nn.ReLU()])
            (self.pooled if is_last else self.features).extend(_after_activation(width, config, is_last))
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * (self._image_px // 2 ** len(widths)) ** 2, config["hidden"]), nn.ReLU()
        )
        if config["second_hidden"]:
            self.head.extend([nn.Linear(config["hidden"], config["second_hidden"]), nn.ReLU()])
        if config["dropout"]:
            self.head.append(nn.Dropout(config["dropout"]))
        self.head.append(nn.Linear(config["second_hidden"] or config["hidden"], num_classes))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel, or three whose mean counts; ValueError for other inputs."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        raw_B1HW = x_BCHW.mean(dim=1, keepdim=True) * 255
        logits_BK: torch.Tensor = self.head(self.pooled(self.features(raw_B1HW)))
        return logits_BK


def _after_activation(width: int, config: Mapping[str, Any], is_last: bool) -> list[nn.Module]:
    """Return pool, batch norm and dropout of a block; a dropout of 0 is no layer: baselines trained earlier fit."""
    rate = config["last_block_dropout" if is_last else "block_dropout"]
    has_norm = config["norm"] != "none" and not (is_last and config["normed_blocks"] == "all_but_last")
    layers: list[nn.Module] = [nn.MaxPool2d(2)]
    if has_norm:
        layers.insert(0 if config["norm"] == "after_relu" else 1, nn.BatchNorm2d(width))
    return [*layers, nn.Dropout(rate)] if rate else layers


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; there are no pretrained weights of it."""
    return GenericCNN(hyperparameters, num_classes=num_classes)
