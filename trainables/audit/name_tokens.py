"""The words and numbers of a file's own name, as a classifier's input."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from sklearn.feature_extraction.text import CountVectorizer

MAX_TOKENS = 2_000
_PARTS = re.compile(r"[^\W\d_]+|\d+")


def name_tokens(path: str) -> list[str]:
    """Return runs of letters and of digits of the file's name and neighbouring pairs of them, each once.

    Folders name the class openly and are passed over, and so is the suffix, which is part of the file type. The row
    of a table has no name: its number says only where it lies. Leading zeros are kept: they are a habit of a source.
    """
    if ".parquet#" in path:
        return []
    parts = ["^", *_PARTS.findall(PurePosixPath(path).stem.lower())]  # ^: "1_1" and "2_1" differ in how they begin
    pairs = [f"{first} {second}" for first, second in pairwise(parts)]
    return list(dict.fromkeys([*parts[1:], *pairs]))


def count_tokens(tokens: Sequence[list[str]]) -> Any | None:
    """Return a sparse x_NT of the tokens that at least two names share; None when no token tells names apart."""
    vectorizer = CountVectorizer(analyzer=list, min_df=2, max_features=MAX_TOKENS, binary=True)
    try:
        x_NT = vectorizer.fit_transform(tokens)
    except ValueError:  # no token left: every name is unique, or there are no names
        return None
    varies_T = x_NT.sum(axis=0).A1 < len(tokens)
    return x_NT[:, varies_T] if varies_T.any() else None
