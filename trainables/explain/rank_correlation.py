"""How alike two maps order the same places, whatever their scales."""

import numpy as np
from scipy import stats


def rank_correlation(first_HW: np.ndarray, second_HW: np.ndarray) -> float | None:
    """Return Spearman's correlation over the pixels, ties sharing their mean rank; None where a map is constant.

    Raises ValueError for maps of different shapes, and for values that are not finite.
    """
    if first_HW.shape != second_HW.shape:
        raise ValueError(f"maps of {first_HW.shape} and {second_HW.shape}; they must lie on the same grid")
    if not (np.isfinite(first_HW).all() and np.isfinite(second_HW).all()):
        raise ValueError("a map holds values that are not finite")
    ranks_2P = np.stack([stats.rankdata(map_HW) for map_HW in (first_HW, second_HW)])
    centred_2P = ranks_2P - ranks_2P.mean(axis=1, keepdims=True)
    sizes_2 = np.sqrt((centred_2P**2).sum(axis=1))
    if not sizes_2.all():
        return None
    return float(np.clip((centred_2P[0] @ centred_2P[1]) / (sizes_2[0] * sizes_2[1]), -1, 1))
