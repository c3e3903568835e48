"""Any classifier of timm with a new last layer. Stands alone: registered models carry a copy of this file."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import timm
import torch
from torch import nn

_FIELDS = {"drop_rate": "dropout", "drop_path_rate": "drop_path"}


class TimmModel(nn.Module):
    """Grey images in [0, 1] -> logits; normalised by the model's own constants (`own`) or by 0.5 and 0.5 (`half`)."""

    BACKBONES: ClassVar[tuple[str, ...]] = ("backbone",)
    FREEZE: ClassVar[Mapping[str, Mapping[str, float]]] = {"half": {"backbone": 0.5}, "backbone": {"backbone": 1.0}}
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: nn.Module, *, image_px: int | None, normalise: str, num_channels: int) -> None:
        """Wrap a timm model; `image_px` is None where it takes images of every size."""
        super().__init__()
        self.backbone = backbone
        self._image_px = image_px
        self._num_channels = num_channels
        own: dict[str, tuple[float, ...]] = backbone.pretrained_cfg  # type: ignore[assignment]
        for name in ("mean", "std"):
            constants = torch.tensor(own[name] if normalise == "own" else (0.5,))
            if len(constants) != num_channels:
                constants = constants.mean().repeat(num_channels)
            self.register_buffer(name, constants.reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK for x_BCHW with one channel or three; ValueError for what the model cannot take."""
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] not in (1, 3):
            raise ValueError(f"expected x_BCHW with one channel or three, got shape {tuple(x_BCHW.shape)}")
        if self._image_px is not None and tuple(x_BCHW.shape[2:]) != (self._image_px, self._image_px):
            raise ValueError(f"expected images of {self._image_px} px, got shape {tuple(x_BCHW.shape)}")
        if self._num_channels == 1:
            x_BCHW = x_BCHW.mean(dim=1, keepdim=True)
        logits_BK: torch.Tensor = self.backbone((x_BCHW - self.mean) / self.std)  # the constants repeat a grey channel
        return logits_BK


def build(hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool) -> nn.Module:
    """Build the module from a full set of hyperparameters; an image_px of 0 is the model's own size.

    Raises ValueError where the model's family has no dropout or no stochastic depth, and one above 0 is asked for.
    """
    num_channels = 1 if hyperparameters["grey_input"] == "fold" else 3  # 1: timm folds the kernel of its weights
    options = {"drop_rate": hyperparameters["dropout"], "drop_path_rate": hyperparameters["drop_path"]}
    options["img_size"] = hyperparameters["image_px"] or own_image_px(hyperparameters["timm_name"])
    backbone, taken = _create(hyperparameters["timm_name"], pretrained, num_classes, num_channels, options)
    return TimmModel(
        backbone,
        image_px=_image_px(backbone, taken),
        normalise=hyperparameters["normalise"],
        num_channels=num_channels,
    )


def own_image_px(timm_name: str) -> int:
    """Return the side of the images that a timm model was made for."""
    own: Any = timm.get_pretrained_cfg(timm_name, allow_unregistered=False)
    return int(own.input_size[-1])


def _create(
    timm_name: str, pretrained: bool, num_classes: int, num_channels: int, options: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    """Create the model with those options that its family has; what it lacks must be 0."""
    taken = dict(options)
    while True:
        try:
            backbone = timm.create_model(
                timm_name, pretrained=pretrained, num_classes=num_classes, in_chans=num_channels, **taken
            )
            break
        except TypeError as error:
            lacking = re.search(r"unexpected keyword argument\S* \[?'(\w+)'", str(error))
            if lacking is None or lacking.group(1) not in taken:
                raise
            del taken[lacking.group(1)]  # a family without img_size takes every size
    for option, field in _FIELDS.items():
        if options[option] and option not in taken:
            raise ValueError(f"{timm_name} has no {field}: it must be 0, not {options[option]:g}")
    return backbone, taken


def _image_px(backbone: nn.Module, taken: Mapping[str, Any]) -> int | None:
    """Return the only image size that the model takes, None where there is no such limit."""
    own: dict[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    if "img_size" in taken:
        return int(taken["img_size"])
    return int(own["input_size"][-1]) if own.get("fixed_input_size") else None
