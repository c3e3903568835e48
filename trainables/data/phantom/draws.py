"""Where a phantom's random numbers come from: one stream per patient and purpose."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np

Picked = TypeVar("Picked")


class Task(IntEnum):
    """First part of a spawn key: no two sets share a patient."""

    STROKE = 0
    TUMOR_BINARY = 1
    TUMOR_4CLASS = 2
    ALZHEIMER = 3
    TUMOR_CT_MRI = 4
    CT_MRI_COMBINATION = 5


class Stream(IntEnum):
    """Last part of a spawn key: adding a draw to one stream leaves the others as they were."""

    HEAD = 0
    LESION = 1
    SCAN = 2
    SLICE = 3
    FILE = 4
    WALK = 5


class Walk(IntEnum):
    """Quantities that are spread evenly over the patients of a class."""

    SIZE = 0
    CT_BRIGHTNESS = 1
    MR_BRIGHTNESS = 2
    LEVEL = 3
    CONTRAST = 4
    CT_NOISE = 5
    MR_NOISE = 6
    FILE = 7


_STEPS = dict(zip(Walk, (prime**0.5 for prime in (2, 3, 5, 7, 13, 11, 19, 29)), strict=True))


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of one patient, the same for every number of patients in the set."""

    seed: int
    task: Task
    part: int  # 0 train or the whole set, 1 test
    label: int
    index: int  # 0, 1, ... among the patients of the part and class

    def rng(self, stream: Stream, *path: int) -> np.random.Generator:
        """Return a generator of its own for every stream and path."""
        return _rng(self.seed, self.task, self.part, self.label, self.index, stream, *path)

    def even(self, walk: Walk, step: int | None = None) -> float:
        """Return a number in [0, 1): equal steps from a random start, each walk with an irrational step of its own.

        All classes walk together, so patient 5 of one class matches patient 5 of any other. Plain draws for a few
        dozen patients would often tell the classes apart by head size or brightness, by chance alone. `step` counts
        something else than patients.
        """
        start = _rng(self.seed, self.task, self.part, Stream.WALK, walk).random()
        return float((start + (self.index if step is None else step) * _STEPS[walk]) % 1)

    def pick(self, walk: Walk, shares: Mapping[Picked, float], step: int | None = None) -> Picked:
        """Return one of the keys; over many patients each comes up as often as its share, which add up to 1."""
        up_to = np.cumsum(list(shares.values()))
        at = int(np.searchsorted(up_to, self.even(walk, step), side="right"))
        return list(shares)[min(at, len(shares) - 1)]


def _rng(seed: int, *path: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))
