"""How alike two maps order the same places, whatever their scales."""

import numpy as np
from scipy import stats


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's correlation over the pixels of two maps, or of parts of them; None where one is constant.

    Equal values share their mean rank. Raises ValueError for different shapes, and for values that are not finite.
    """
    if first.shape != second.shape:
        raise ValueError(f"maps of {first.shape} and {second.shape}; they must lie on the same grid")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a map holds values that are not finite")
    ranks_2P = np.stack([stats.rankdata(values) for values in (first, second)])
    centred_2P = ranks_2P - ranks_2P.mean(axis=1, keepdims=True)
    sizes_2 = np.sqrt((centred_2P**2).sum(axis=1))
    if not sizes_2.all():
        return None
    return float(np.clip((centred_2P[0] @ centred_2P[1]) / (sizes_2[0] * sizes_2[1]), -1, 1))
