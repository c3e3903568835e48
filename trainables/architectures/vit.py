"""A vision transformer of timm on grey slices. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn


class ViT(nn.Module):
    """Grey images in [0, 1] -> logits; mean and std 0.5, as the tumour project has it.

    With `one_logit` two classes have one logit z, given as (-z/2, z/2): its softmax is the sigmoid of z, its cross
    entropy the binary one.
    """

    BACKBONES: ClassVar[tuple[str, ...]] = ("backbone",)
    FREEZE: ClassVar[Mapping[str, Mapping[str, float]]] = {"half": {"backbone": 0.5}, "backbone": {"backbone": 1.0}}

    def __init__(self, config: Mapping[str, Any], *, num_classes: int, pretrained: bool) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        self._has_one_logit = config["one_logit"] and num_classes == 2
        self.backbone = timm.create_model(
            config["vit"],
            pretrained=pretrained,
            img_size=self._image_px,
            in_chans=1,  # timm sums the colours of pretrained patches
            num_classes=1 if self._has_one_logit else num_classes,
            drop_rate=config["dropout"],
            drop_path_rate=config["drop_path"],
        )
        if config["patch_init"] == "reinit":
            old: Any = self.backbone.patch_embed.proj  # type: ignore[union-attr]
            fresh = nn.Conv2d(1, old.out_channels, old.kernel_size, old.stride, bias=False)
            self.backbone.patch_embed.proj = fresh  # type: ignore[union-attr]

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel, or three whose mean counts; ValueError for other inputs."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        logits_BK: torch.Tensor = self.backbone((x_BCHW.mean(dim=1, keepdim=True) - 0.5) / 0.5)
        return torch.cat([-logits_BK / 2, logits_BK / 2], dim=1) if self._has_one_logit else logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters."""
    return ViT(hyperparameters, num_classes=num_classes, pretrained=pretrained)
