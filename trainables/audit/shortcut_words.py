"""What a feature looks like in each class, in a sentence."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_VALUES = 4


def what_differs(values: Sequence[Any], classes: Sequence[str]) -> str:
    """Return one sentence per class, or per value, about `values`: kinds (str), numbers, tuples of them, name tokens.

    `classes` is the class name of each image.
    """
    by_class: dict[str, list[Any]] = {}
    for value, name in zip(values, classes, strict=True):
        by_class.setdefault(name, []).append(value)
    by_class = dict(sorted(by_class.items()))
    if isinstance(values[0], str):
        return "; ".join(f"{name}: {_shares(own)}" for name, own in by_class.items())
    if isinstance(values[0], set):
        return _telling_tokens(by_class)
    return "median " + "; ".join(f"{name}: {_median(own)}" for name, own in by_class.items())


def _shares(kinds: list[str]) -> str:
    common = Counter(kinds).most_common(MAX_VALUES)
    return ", ".join(f"{kind} {count / len(kinds):.0%}" for kind, count in common)


def _median(numbers: list[Any]) -> str:
    medians = np.median(np.array(numbers, dtype=float).reshape(len(numbers), -1), axis=0)
    return " / ".join(f"{one:,.0f}" if abs(one) >= 10 else f"{one:.2f}" for one in medians)


def _telling_tokens(by_class: dict[str, list[set[str]]]) -> str:
    """Name, for each class, the token that is most of it and least of the others."""
    said = []
    for name, own in by_class.items():
        others = [tokens for other, found in by_class.items() if other != name for tokens in found]
        inside, outside = Counter(t for tokens in own for t in tokens), Counter(t for tokens in others for t in tokens)
        lead = {token: inside[token] / len(own) - outside[token] / max(len(others), 1) for token in inside}
        if lead:
            best = max(lead, key=lambda token: (lead[token], token))
            in_others = f"{outside[best] / max(len(others), 1):.0%} of the others"
            said.append(f"{name}: {_quoted(best)} in {inside[best] / len(own):.0%} of its names and {in_others}")
    return "; ".join(said)


def _quoted(token: str) -> str:
    return f"“{token.removeprefix('^ ')}”" + (" at the start" if token.startswith("^ ") else "")
