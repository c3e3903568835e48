"""Which parameters learn, and how fast: freezing and learning rates by layer of the backbones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.layers import layer_numbers


def frozen_names(model: nn.Module, freeze: str) -> set[str]:
    """Return the parameters that a value of the hyperparameter `freeze` keeps as they are."""
    if freeze == "none":
        return set()
    fractions: Mapping[str, float] = model.FREEZE[freeze]  # type: ignore[assignment, index]
    frozen = set()
    for backbone, fraction in fractions.items():
        numbers = layer_numbers(model.get_submodule(backbone))
        last = max(numbers.values()) * fraction + 1e-9
        frozen |= {f"{backbone}.{name}" for name, number in numbers.items() if number <= last}
    return frozen


def freeze_parameters(model: nn.Module, frozen: set[str]) -> None:
    """Let the named parameters have no gradient, all others have one."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def hold_batchnorm(model: nn.Module) -> None:
    """Put batch norms whose parameters are all frozen into eval mode: in training they would go on drifting."""
    for module in model.modules():
        if isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters()):
            module.eval()


def rate_scales(model: nn.Module, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """Return each parameter's learning rate over that of the head, which is 1.

    In a backbone of L layers, layer i has backbone_lr_mult * layer_decay^(L - i), the one next to the head i = L - 1.
    """
    decayed = getattr(model, "LAYER_DECAY", getattr(model, "BACKBONES", ()))
    scales = dict.fromkeys((name for name, _ in model.named_parameters()), 1.0)
    for backbone in getattr(model, "BACKBONES", ()):
        numbers = layer_numbers(model.get_submodule(backbone))
        count = max(numbers.values()) + 1
        for name, number in numbers.items():
            decay = hyperparameters["layer_decay"] ** (count - number) if backbone in decayed else 1.0
            scales[f"{backbone}.{name}"] = hyperparameters["backbone_lr_mult"] * decay
    return scales


def build_optimizer(model: nn.Module, hyperparameters: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return the optimizer, one group per learning rate; fused, which is one pass over the weights instead of ten."""
    scales = rate_scales(model, hyperparameters)
    by_scale: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        by_scale.setdefault(scales[name], []).append(parameter)
    lr, decay = hyperparameters["lr"], hyperparameters["weight_decay"]
    groups = [
        {"params": own, "lr": lr * scale, "full_lr": lr * scale, "weight_decay": decay}
        for scale, own in by_scale.items()
    ]
    match hyperparameters["optimizer"]:
        case "adam":
            return torch.optim.Adam(groups, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, fused=True)
        case _:
            return torch.optim.SGD(groups, momentum=hyperparameters["momentum"], fused=True)
