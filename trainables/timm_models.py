"""What a timm model can be asked for, found out without memory or weights: on the meta device."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from trainables.architectures.timm_model import build, own_image_px
from trainables.errors import ArchitectureError, first_line
from trainables.layers import layer_numbers

STEPS_PX = (32, 16, 14)  # what strides, windows and patches divide
RATES = ("dropout", "drop_path")


def check_timm(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ArchitectureError for a model that is no classifier, or cannot take this size, these channels or freezing.

    `hyperparameters` are full ones with the image size as a number; their dropout and drop_path are not looked at.
    """
    name, side_px = hyperparameters["timm_name"], hyperparameters["image_px"]
    own_px = own_image_px(name)
    plain = {**hyperparameters, **dict.fromkeys(RATES, 0.0)}
    backbone = _build(plain | {"image_px": own_px}).get_submodule("backbone")
    _require_classifier(backbone, name)
    if max(layer_numbers(backbone).values()) == 0 and hyperparameters["freeze"] not in ("none", "backbone"):
        raise ArchitectureError(
            f"{name} is one layer to timm, so freeze={hyperparameters['freeze']} would freeze it all"
        )
    reason = _why_not(plain)
    if not reason:
        return
    if hyperparameters["grey_input"] == "fold" and not _why_not(plain | {"grey_input": "repeat"}):
        raise ArchitectureError(f"{name} cannot take one channel ({reason}): set grey_input to repeat")
    sizes = [str(other) for other in _near(side_px) if not _why_not(plain | {"image_px": other})]
    takes = f"near it {' or '.join(sizes)}" if sizes else "no size near it"
    raise ArchitectureError(
        f"{name} cannot take images of {side_px} px ({reason}): it takes {takes}; its own size is {own_px}"
    )


def lacking_rates(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return which of dropout and drop_path the family of a timm model does not have."""
    lacking = []
    for rate in RATES:
        try:
            _build({**hyperparameters, **dict.fromkeys(RATES, 0.0), rate: 0.1})
        except ArchitectureError:
            lacking.append(rate)
    return lacking


def _why_not(hyperparameters: Mapping[str, Any]) -> str:
    """Return in one line why no forward pass is possible, nothing where it is."""
    try:
        _try(hyperparameters)
    except ArchitectureError as error:
        return str(error)
    return ""


def _try(hyperparameters: Mapping[str, Any]) -> None:
    side_px = hyperparameters["image_px"]
    model = _build(hyperparameters)
    patch_px = _patch_px(model.get_submodule("backbone"))
    if side_px % patch_px and side_px != own_image_px(hyperparameters["timm_name"]):  # timm would cut the rest off
        raise ArchitectureError(f"no multiple of {patch_px} px, the side of its patches")
    try:
        with torch.no_grad():
            model(torch.zeros(2, 1, side_px, side_px, device="meta"))
    except Exception as error:  # each family has its own kinds for what it cannot take
        raise ArchitectureError(_in_one_line(error)) from error


def _build(hyperparameters: Mapping[str, Any]) -> nn.Module:
    try:
        with torch.device("meta"):
            return build(hyperparameters, 2, False).eval()
    except Exception as error:
        raise ArchitectureError(_in_one_line(error)) from error


def _in_one_line(error: Exception) -> str:
    return first_line(error, 120).rstrip(" ;,")


def _require_classifier(backbone: nn.Module, timm_name: str) -> None:
    classifier = backbone.get_classifier() if hasattr(backbone, "get_classifier") else None  # type: ignore[operator]
    heads = classifier if isinstance(classifier, tuple | list) else [classifier]
    if not any(isinstance(head, nn.Module) and list(head.parameters()) for head in heads):
        raise ArchitectureError(f"{timm_name} of timm gives features and has no last layer: it is no classifier")


def _patch_px(backbone: nn.Module) -> int:
    patch_size = getattr(getattr(backbone, "patch_embed", None), "patch_size", 1)
    return int(patch_size[0] if isinstance(patch_size, tuple | list) else patch_size)


def _near(side_px: int) -> list[int]:
    sizes = {max(step, side_px // step * step + more) for step in STEPS_PX for more in (0, step)} - {side_px}
    return sorted(size for size in sizes if size >= 16)
