"""ResNet and ViT side by side, features fused. Stands alone: registered models carry a copy of this file."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn


class ResNetViT(nn.Module):
    """Grey images in [0, 1] -> logits; the defaults are the stroke project's: concatenated, mean and std 0.5."""

    BACKBONES: ClassVar[tuple[str, ...]] = ("cnn", "vit")
    LAYER_DECAY: ClassVar[tuple[str, ...]] = ("vit",)  # as the stroke project's search space has it
    FREEZE: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "resnet_stem": {"cnn": 0.0},
        "vit_half": {"vit": 0.5},
        "all_backbones": {"cnn": 1.0, "vit": 1.0},
    }

    def __init__(self, config: Mapping[str, Any], *, num_classes: int, pretrained: bool) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        self._num_channels = 1 if config["grey_input"] == "fold" else 3
        common: dict[str, Any] = {"pretrained": pretrained, "in_chans": self._num_channels, "num_classes": 0}
        self.cnn = timm.create_model(config["resnet"], global_pool="", **common)
        self.vit = timm.create_model(config["vit"], img_size=self._image_px, **common)
        self.cnn_input = Normalisation(self.cnn, config["normalise"], self._num_channels)
        self.vit_input = Normalisation(self.vit, config["normalise"], self._num_channels)
        cnn_features: int = self.cnn.num_features  # type: ignore[assignment]
        vit_features: int = self.vit.num_features  # type: ignore[assignment]
        hidden, dropout = config["hidden"], config["dropout"]
        if config["fusion"] == "concat":
            self.fusion: nn.Module = Concatenation()
            self.head = nn.Sequential(
                nn.Linear(cnn_features + vit_features, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, num_classes),
            )
        else:
            fusion = GatedFusion if config["fusion"] == "gated" else AttentionFusion
            self.fusion = fusion(cnn_features, vit_features, hidden)
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, num_classes))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel or three; ValueError for what the model cannot take."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        if self._num_channels == 1:
            x_BCHW = x_BCHW.mean(dim=1, keepdim=True)
        cnn_BFHW = self.cnn(self.cnn_input(x_BCHW))
        vit_BD = self.vit(self.vit_input(x_BCHW))  # class token after the final norm
        logits_BK: torch.Tensor = self.head(self.fusion(cnn_BFHW, vit_BD))
        return logits_BK


class Normalisation(nn.Module):
    """One branch's constants, which are no part of the weights: 0.5 (`half`), or those of its own pretraining."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: nn.Module, normalise: str, num_channels: int) -> None:
        super().__init__()
        own: dict[str, tuple[float, ...]] = backbone.pretrained_cfg  # type: ignore[assignment]
        for name in ("mean", "std"):
            constants = torch.tensor(own[name] if normalise == "per_branch" else (0.5,))
            if len(constants) != num_channels:
                constants = constants.mean().repeat(num_channels)
            self.register_buffer(name, constants.reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return as many channels as there are constants; one of grey is repeated."""
        return (x_BCHW - self.mean) / self.std


class Concatenation(nn.Module):
    """The CNN's map, averaged, beside the ViT's class token."""

    def forward(self, cnn_BFHW: torch.Tensor, vit_BD: torch.Tensor) -> torch.Tensor:
        """Return features_BF, as many as both branches have."""
        return torch.cat([cnn_BFHW.mean(dim=(2, 3)), vit_BD], dim=1)


class GatedFusion(nn.Module):
    """A gate per feature decides between the branches: gated unit of Arevalo et al. 2017 (arXiv:1702.01992)."""

    def __init__(self, cnn_features: int, vit_features: int, hidden: int) -> None:
        super().__init__()
        self.cnn = nn.Linear(cnn_features, hidden)
        self.vit = nn.Linear(vit_features, hidden)
        self.gate = nn.Linear(cnn_features + vit_features, hidden)

    def forward(self, cnn_BFHW: torch.Tensor, vit_BD: torch.Tensor) -> torch.Tensor:
        """Return features_BH in [-1, 1]."""
        cnn_BF = cnn_BFHW.mean(dim=(2, 3))
        gate_BH = torch.sigmoid(self.gate(torch.cat([cnn_BF, vit_BD], dim=1)))
        fused_BH: torch.Tensor = gate_BH * torch.tanh(self.cnn(cnn_BF)) + (1 - gate_BH) * torch.tanh(self.vit(vit_BD))
        return fused_BH


class AttentionFusion(nn.Module):
    """The ViT's class token asks the cells of the CNN's map (cross attention), and keeps itself (residual, norm)."""

    def __init__(self, cnn_features: int, vit_features: int, hidden: int) -> None:
        super().__init__()
        self.cnn = nn.Linear(cnn_features, hidden)
        self.vit = nn.Linear(vit_features, hidden)
        self.attention = nn.MultiheadAttention(hidden, math.gcd(hidden, 8), batch_first=True)  # 8 heads where they fit
        self.norm = nn.LayerNorm(hidden)

    def forward(self, cnn_BFHW: torch.Tensor, vit_BD: torch.Tensor) -> torch.Tensor:
        """Return features_BH."""
        cells_BNH = self.cnn(cnn_BFHW.flatten(2).transpose(1, 2))
        query_B1H = self.vit(vit_BD).unsqueeze(1)
        seen_B1H, _ = self.attention(query_B1H, cells_BNH, cells_BNH, need_weights=False)
        fused_BH: torch.Tensor = self.norm(query_B1H + seen_B1H).squeeze(1)
        return fused_BH


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; extra ones are those of training."""
    return ResNetViT(hyperparameters, num_classes=num_classes, pretrained=pretrained)
