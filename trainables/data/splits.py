"""Splits that keep a patient on one side."""

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from trainables.errors import DataError


def split_validation(labels: Sequence[int], groups: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Return is_validation_N: about `fraction` of the images, stratified by class, every group whole on one side.

    Raises DataError when there are too few groups of a class to have it on both sides.
    """
    labels_N, groups_N = np.asarray(labels), np.asarray(groups)
    rarest = min(len(set(groups_N[labels_N == label])) for label in set(labels))
    folds = min(round(1 / fraction), rarest)
    if folds < 2:
        raise DataError("a class has images of one patient only; training and validation need two at least")
    kfold = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    is_validation_N = np.zeros(len(labels_N), dtype=bool)
    is_validation_N[next(kfold.split(labels_N, labels_N, groups_N))[1]] = True
    crossing = set(groups_N[is_validation_N]) & set(groups_N[~is_validation_N])
    if crossing or len({bool(side) for side in is_validation_N}) < 2:
        raise DataError(f"groups on both sides of the split: {', '.join(sorted(crossing)) or 'none'}")
    for side, name in ((is_validation_N, "validation"), (~is_validation_N, "training")):
        missing = set(labels) - set(labels_N[side])
        if missing:
            raise DataError(f"{name} would have no image of class index {min(missing)}: too few patients to split")
    return is_validation_N
