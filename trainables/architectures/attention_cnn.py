"""A CNN whose blocks weigh channels and places. Stands alone: registered models carry a copy of this file.

Squeeze and excitation: Hu et al. 2018 (arXiv:1709.01507); spatial attention, and channel before place: CBAM, Woo et al.
2018 (arXiv:1807.06521).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FEWEST_HIDDEN = 4  # of the channel gate


class AttentionCNN(nn.Module):
    """Grey images in [0, 1] -> logits; the channel is repeated and normalised by ImageNet's constants."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Mapping[str, Any], *, num_classes: int) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        for name, constants in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(constants).reshape(1, 3, 1, 1), persistent=False)
        widths = [config["base_width"] * 2**place for place in range(config["num_blocks"])]
        self.blocks = nn.Sequential(
            *(
                AttentionBlock(before, width, config, config["attention_everywhere"] or width == widths[-1])
                for before, width in zip([3, *widths], widths, strict=False)
            )
        )
        self.head = nn.Sequential(
            nn.Linear(widths[-1], config["hidden"]),
            nn.ReLU(),
            nn.Dropout(config["dropout"]),
            nn.Linear(config["hidden"], num_classes),
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel or three; ValueError for what the model cannot take."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        maps_BCHW = self.blocks((x_BCHW - self.mean) / self.std)
        logits_BK: torch.Tensor = self.head(maps_BCHW.mean(dim=(2, 3)))
        return logits_BK


class AttentionBlock(nn.Module):
    """Convolution, batch norm and ReLU, then gates of channels and of places, then half the side."""

    def __init__(self, before: int, width: int, config: Mapping[str, Any], has_attention: bool) -> None:
        super().__init__()
        kind = config["attention"] if has_attention else "none"
        self.conv = nn.Conv2d(before, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.ReLU()
        self.attention = nn.Sequential()
        if kind in ("se", "cbam"):
            self.attention.add_module("channels", ChannelAttention(width, config["reduction"], config["channel_pool"]))
        if kind in ("spatial", "cbam"):
            self.attention.add_module("places", SpatialAttention(config["spatial_kernel"]))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return maps_BCHW of half the side."""
        pooled_BCHW: torch.Tensor = self.pool(self.attention(self.act(self.norm(self.conv(x_BCHW)))))
        return pooled_BCHW


class ChannelAttention(nn.Module):
    """A weight per channel, from the means of all channels (`avg`), or also from their maxima (`avg_max`, CBAM)."""

    def __init__(self, width: int, reduction: int, channel_pool: str) -> None:
        super().__init__()
        hidden = max(FEWEST_HIDDEN, width // reduction)
        self.squeeze = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.gate = nn.Sigmoid()
        self._has_max = channel_pool == "avg_max"

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the weighed maps."""
        excited_BC = self.squeeze(x_BCHW.mean(dim=(2, 3)))
        if self._has_max:
            excited_BC = excited_BC + self.squeeze(x_BCHW.amax(dim=(2, 3)))
        weighed_BCHW: torch.Tensor = x_BCHW * self.gate(excited_BC)[:, :, None, None]
        return weighed_BCHW


class SpatialAttention(nn.Module):
    """A weight per place, from the mean and the maximum over channels."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.gate = nn.Sigmoid()

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return the weighed maps."""
        both_B2HW = torch.cat([x_BCHW.mean(dim=1, keepdim=True), x_BCHW.amax(dim=1, keepdim=True)], dim=1)
        weighed_BCHW: torch.Tensor = x_BCHW * self.gate(self.conv(both_B2HW))
        return weighed_BCHW


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; there are no pretrained weights of it."""
    return AttentionCNN(hyperparameters, num_classes=num_classes)
