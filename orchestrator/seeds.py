"""Every random number of a sweep derives from the sweep's seed and a path."""

from enum import IntEnum

import numpy as np


class SeedPath(IntEnum):
    """First step of a path: what the seed is for, so that two uses never share numbers."""

    SPLIT = 0
    TRIAL = 1
    SAMPLER = 2
    FOLD = 3
    SEED = 4
    EXPLANATION = 5


def child_seed(sweep_seed: int, *path: int) -> int:
    """Return an independent 32-bit seed for a path below the sweep's seed (numpy SeedSequence spawn keys)."""
    return int(np.random.SeedSequence(sweep_seed, spawn_key=tuple(path)).generate_state(1)[0])
