"""An EfficientNet with a hidden layer behind it. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn


class EfficientNetB3(nn.Module):
    """Grey images in [0, 1], repeated to three channels -> logits; by the constants of the trunk's own pretraining."""

    BACKBONES: ClassVar[tuple[str, ...]] = ("backbone",)
    FREEZE: ClassVar[Mapping[str, Mapping[str, float]]] = {"half": {"backbone": 0.5}, "backbone": {"backbone": 1.0}}
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Mapping[str, Any], *, num_classes: int, pretrained: bool) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        self.backbone = timm.create_model(
            config["efficientnet"],
            pretrained=pretrained,
            num_classes=0,
            global_pool="",
            drop_path_rate=config["drop_path"],
        )
        own: dict[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(own[name]).reshape(1, 3, 1, 1), persistent=False)
        num_features: int = self.backbone.num_features  # type: ignore[assignment]
        self.head = nn.Sequential(
            nn.Dropout(config["trunk_dropout"]),  # the trunk's own, which the project kept before its two
            nn.Dropout(config["dropout"]),
            nn.Linear(num_features, config["hidden"]),
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
        features_BFHW = self.backbone((x_BCHW - self.mean) / self.std)  # the constants repeat a grey channel
        logits_BK: torch.Tensor = self.head(features_BFHW.mean(dim=(2, 3)))
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; extra ones are those of training."""
    return EfficientNetB3(hyperparameters, num_classes=num_classes, pretrained=pretrained)
