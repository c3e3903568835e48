"""What a line of the journal may say: words that every store takes, numbers that JSON has."""

import math
from numbers import Real
from typing import Annotated

from pydantic import BeforeValidator

MOST_WORDS_CHARACTERS = 4000  # an MLflow tag holds 8,000, a PostgreSQL text no zero byte


def _storable(text: object) -> object:
    """Return a text as every store takes it: an exception may quote a file name that is no text."""
    if not isinstance(text, str):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "?")[:MOST_WORDS_CHARACTERS]


Words = Annotated[str, BeforeValidator(_storable)]


def _finite(value: object) -> object:
    if isinstance(value, Real) and not isinstance(value, int) and not math.isfinite(value):
        return None
    return value


def _known(values: object) -> object:
    """Leave out what is no number, or an interval without one of its ends: JSON has null for both."""
    if not isinstance(values, dict):
        return values
    parts = {name: value if isinstance(value, tuple | list) else (value,) for name, value in values.items()}
    return {name: values[name] for name, ends in parts.items() if all(_finite(end) is not None for end in ends)}


Metrics = dict[str, Annotated[float | None, BeforeValidator(_finite)]]  # what is no number could win every ranking
Intervals = Annotated[dict[str, tuple[float, float]], BeforeValidator(_known)]  # 95 %, low and high, by group
Further = Annotated[dict[str, float], BeforeValidator(_known)]
