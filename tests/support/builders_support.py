"""Architectures that stand for others, so that what is tried on each does not take longer with every record."""

import torch

from trainables.catalog import architecture, architecture_names
from trainables.models import build_model, count_parameters


def one_per_builder() -> list[str]:
    """Return the architectures; of those that share builder and hyperparameters the one whose smoke one is smallest."""
    groups: dict[tuple[str, frozenset[str]], list[str]] = {}
    for name in architecture_names():
        record = architecture(name)
        groups.setdefault((record.builder, frozenset(record.config.model_fields)), []).append(name)
    return [min(names, key=_smoke_parameters) if len(names) > 1 else names[0] for names in groups.values()]


def _smoke_parameters(name: str) -> int:
    with torch.device("meta"):
        return count_parameters(build_model(name, architecture(name).smoke, 2))[1]
