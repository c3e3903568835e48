"""Flags that several commands read."""

import sys
from typing import Any

from orchestrator.errors import BadInput, unknown_name


def one_of(flag: str, value: str | None, known: tuple[str, ...]) -> Any:
    """Return a value that is known, or None where the flag was left out. Raises BadInput."""
    if value is not None and value not in known:
        raise BadInput(f"{flag}: {unknown_name('value', value, known)}")
    return value


def once(flag: str, way_out: str) -> None:
    """Raise BadInput for a flag that was given several times: of two values only the last would be heard."""
    given = [word for word in sys.argv if word == flag or word.startswith(f"{flag}=")]
    if len(given) > 1:
        raise BadInput(f"{flag}: is given {len(given)} times; {way_out}")


def settings(pairs: list[str]) -> dict[str, str]:
    """Return --set KEY=VALUE pairs. Raises BadInput for another form."""
    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise BadInput(f"--set {pair}: expected KEY=VALUE, e.g. --set lr=1e-4")
        if key.strip() in overrides:
            raise BadInput(f"--set {key.strip()}: is given twice; say it once")
        overrides[key.strip()] = value
    return overrides
