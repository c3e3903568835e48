"""--set KEY=VALUE: whose setting a key is, and the values as a layer over a sweep file."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import BadInput, unknown_name
from orchestrator.sweep_sections import SECTIONS
from orchestrator.yaml_file import parse_yaml
from trainables.catalog import architecture


def overlay_of(overrides: Mapping[str, str], merged: Mapping[str, Any]) -> dict[str, Any]:
    """Turn --set pairs into an overlay: NAME, ARCHITECTURE.NAME or SECTION.KEY = a YAML value."""
    overlay: dict[str, Any] = {}
    names = list(merged["architectures"])
    for key, text in overrides.items():
        value = parse_yaml(f"--set {key}", text)
        require_setting(key, names)
        first, rest = _parted(key, names)
        if first in SECTIONS:
            overlay.setdefault(first, {})[rest] = value
            continue
        for owner in [first] if first else _owners(key, names):
            overlay.setdefault("architectures", {}).setdefault(owner, {})[rest] = value
    return overlay


def require_setting(key: str, architectures: Sequence[str]) -> None:
    """Raise BadInput for the key of a --set that neither a section nor one of some architectures has.

    What follows a section or an architecture is judged with its value.
    """
    if has_setting(key, architectures):
        return
    if "." in key:
        prefixes = [*SECTIONS, *architectures]
        raise BadInput(f"--set {key}: " + unknown_name("section", key.rpartition(".")[0], prefixes))
    known = {field for name in architectures for field in architecture(name).config.model_fields}
    raise BadInput(f"--set {key}: " + unknown_name("hyperparameter", key, known))


def has_setting(key: str, architectures: Sequence[str]) -> bool:
    """Tell whether a --set of this key means anything to a sweep of some architectures."""
    return bool(_parted(key, architectures)[0]) or bool(_owners(key, architectures))


def _parted(key: str, architectures: Sequence[str]) -> tuple[str, str]:
    """Return the section or architecture before a key, nothing where there is none, and the key itself."""
    prefixes = [*SECTIONS, *architectures]
    first = max((name for name in prefixes if key.startswith(f"{name}.")), key=len, default="")  # names hold dots
    return first, key[len(first) + 1 :] if first else key


def _owners(key: str, architectures: Sequence[str]) -> list[str]:
    return [name for name in architectures if key in architecture(name).config.model_fields]
