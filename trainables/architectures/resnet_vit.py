"""ResNet and ViT side by side, features concatenated. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn


class ResNetViT(nn.Module):
    """Grey images in [0, 1] -> logits; both branches are normalised by mean 0.5 and std 0.5 (stroke project)."""

    BACKBONES: ClassVar = ("cnn", "vit")
    FREEZE: ClassVar = {
        "resnet_stem": {"cnn": 0.0},
        "vit_half": {"vit": 0.5},
        "all_backbones": {"cnn": 1.0, "vit": 1.0},
    }

    def __init__(
        self, *, resnet: str, vit: str, hidden: int, dropout: float, image_px: int, num_classes: int, pretrained: bool
    ) -> None:
        super().__init__()
        self.cnn = timm.create_model(resnet, pretrained=pretrained, num_classes=0, global_pool="")
        self.vit = timm.create_model(vit, pretrained=pretrained, num_classes=0, img_size=image_px)
        num_features: int = self.cnn.num_features + self.vit.num_features  # type: ignore[assignment, operator]
        self.head = nn.Sequential(
            nn.Linear(num_features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes)
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel (repeated to three) or three."""
        x_BCHW = (x_BCHW.expand(-1, 3, -1, -1) - 0.5) / 0.5
        cnn_BF = self.cnn(x_BCHW).mean(dim=(2, 3))
        vit_BD = self.vit(x_BCHW)  # class token after the final norm
        logits_BK: torch.Tensor = self.head(torch.cat([cnn_BF, vit_BD], dim=1))
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; extra ones are those of training."""
    return ResNetViT(
        resnet=hyperparameters["resnet"],
        vit=hyperparameters["vit"],
        hidden=hyperparameters["hidden"],
        dropout=hyperparameters["dropout"],
        image_px=hyperparameters["image_px"],
        num_classes=num_classes,
        pretrained=pretrained,
    )
