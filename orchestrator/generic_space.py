"""The search space of timm architectures that a sweep file only names: search_spaces/generic/timm.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import search_spaces
from orchestrator.yaml_file import read_yaml
from trainables.configs.timm_model import TIMM


def with_generic_spaces(architectures: Mapping[Any, Any]) -> dict[Any, Any]:
    """Lay what a file gives for each timm architecture, which may be nothing, over the generic space."""
    return {
        name: {**generic_space(), **(space or {})}
        if isinstance(name, str) and name.startswith(TIMM) and (space is None or isinstance(space, dict))
        else space
        for name, space in architectures.items()
    }


@cache
def generic_space() -> Mapping[str, Any]:
    """Return the generic space as the YAML has it: hyperparameter -> value or range."""
    return read_yaml(Path(search_spaces.__file__).parent / "generic" / "timm.yaml")
