"""A pretrained ResNet whose last stage learns anew. Stands alone: registered models carry a copy of this file."""

from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn

STAGES = ("layer1", "layer2", "layer3", "layer4")


class AdvancedResNet50(nn.Module):
    """Grey images in [0, 1] -> logits, by the constants of the backbone's own pretraining.

    `grey_input` is how grey meets a kernel of three colours: `rgb` repeats the image, `mean_kernel` has one channel
    and the kernel's mean over colours, with the mean of the constants (those of the dementia project are not recorded).
    """

    BACKBONES: ClassVar[tuple[str, ...]] = ("backbone",)
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Mapping[str, Any], *, num_classes: int, pretrained: bool) -> None:
        super().__init__()
        self._image_px: int = config["image_px"]
        self._num_channels = 1 if config["grey_input"] == "mean_kernel" else 3
        self.backbone = timm.create_model(
            config["resnet"], pretrained=pretrained, in_chans=self._num_channels, num_classes=0, global_pool=""
        )
        own: dict[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        if pretrained and self._num_channels == 1:
            with torch.no_grad():
                self.backbone.get_parameter(f"{own['first_conv']}.weight").div_(3)  # timm sums the three colours
        for name in ("mean", "std"):
            constants = torch.tensor(own[name])
            if self._num_channels == 1:
                constants = constants.mean(dim=0, keepdim=True)
            self.register_buffer(name, constants.reshape(1, -1, 1, 1), persistent=False)
        num_features: int = self.backbone.num_features  # type: ignore[assignment]
        self.head = nn.Sequential(nn.Dropout(config["dropout"]), nn.Linear(num_features, num_classes))

    @property
    def FREEZE(self) -> Mapping[str, Mapping[str, float]]:  # noqa: N802
        """Return the part of the layers up to a stage's end: each residual block is one, the stem the first."""
        blocks = [len(self.backbone.get_submodule(stage)) for stage in STAGES]  # type: ignore[arg-type]
        ends = {"stem": 0} | {f"to_{stage}": sum(blocks[: i + 1]) for i, stage in enumerate(STAGES[:-1])}
        parts = {name: {"backbone": end / sum(blocks)} for name, end in ends.items()}
        return parts | {"backbone": {"backbone": 1.0}}

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel or three; ValueError for what the model cannot take."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        if self._num_channels == 1:
            x_BCHW = x_BCHW.mean(dim=1, keepdim=True)
        features_BFHW = self.backbone((x_BCHW - self.mean) / self.std)  # the constants repeat a grey channel
        logits_BK: torch.Tensor = self.head(features_BFHW.mean(dim=(2, 3)))
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; extra ones are those of training."""
    return AdvancedResNet50(hyperparameters, num_classes=num_classes, pretrained=pretrained)
