"""Architecture records -> modules; weights in and out as safetensors."""

import importlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import timm
from safetensors.torch import load_file, save_file
from torch import nn

from trainables.catalog import ARCHITECTURES
from trainables.errors import WeightsError

Build = Callable[[Mapping[str, Any], int, bool], nn.Module]


def build_model(
    architecture: str, hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool = False
) -> nn.Module:
    """Build an architecture; hyperparameters that are not given have their published values.

    Raises pydantic's ValidationError for values that the schema refuses.
    """
    record = ARCHITECTURES[architecture]
    module, _, function = record.builder.partition(":")
    build: Build = getattr(importlib.import_module(module), function)
    return build(record.config(**hyperparameters).model_dump(), num_classes, pretrained)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Return (trainable, total)."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)


def check_backbone(name: str) -> None:
    """Raise WeightsError for a timm name that does not exist."""
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise WeightsError(f"timm has no model {name!r}" + (f"; near it: {', '.join(near)}" if near else ""))


def fetch_pretrained(name: str) -> None:
    """Make sure that a timm model's pretrained weights are in the local cache. Raises WeightsError with the way out."""
    check_backbone(name)
    for logger in ("huggingface_hub", "timm"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # each of its retries is a line; the outcome is told below
    try:
        timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises its own kinds for each way of having no network
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"pretrained weights of {name} cannot be had ({reason[:120]})") from error


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the weights atomically: a killed process leaves the old file, never half a new one."""
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, part)
    os.replace(part, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights written by `save_weights`; every name must match."""
    model.load_state_dict(load_file(path))
