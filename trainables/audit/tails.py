"""Where pairs that cannot belong together stop: a threshold beyond the likest ones that were seen."""

import numpy as np

MIN_TAIL = 20


def threshold_beyond(values_M: np.ndarray, tail: int, false_per_value: float, allowed: float) -> float:
    """Return the value above which `allowed` false pairs are expected, from values of pairs known to be false.

    `tail` of the largest values are looked at; each stands for `false_per_value` false pairs among those in question.
    Their excess over the smallest of them is taken as exponential, its scale from their median: a few pairs that do
    belong together after all (copies with two labels) do not move it. Raises ValueError for fewer than 20 values.
    """
    if min(tail, len(values_M)) < MIN_TAIL:
        raise ValueError(f"{min(tail, len(values_M))} values are too few for a tail")
    tail_T = np.sort(values_M)[::-1][:tail]
    start = float(tail_T[-1])
    scale = float(np.median(tail_T) - start) / np.log(2)
    return float(start + scale * max(0.0, np.log(len(tail_T) * false_per_value / allowed)))


def own_per_other(part_N: np.ndarray) -> float:
    """Return how many pairs within a part there are for each pair of different parts."""
    sizes = np.bincount(part_N).astype(float)
    own = float((sizes * (sizes - 1) / 2).sum())
    return float(own / max(float(sizes.sum() * (sizes.sum() - 1) / 2) - own, 1.0))
