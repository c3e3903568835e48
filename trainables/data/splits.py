"""Splits in which every group (the images of one patient) stands whole on one side."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from trainables.data.records import Side
from trainables.errors import DataError


@dataclass(frozen=True)
class Fractions:
    """Shares of the images: training is what is left."""

    validation: float
    test: float


def split_by_group(
    labels: Sequence[int], groups: Sequence[str], fractions: Fractions, *, test_seed: int, seed: int
) -> list[Side]:
    """Return each image's side, stratified by class, every group whole on one side.

    A class of few groups is in training first, then in test, then in validation. Raises DataError when a side would
    have fewer than two classes.
    """
    labels_N = np.asarray(labels)
    group_N = np.unique(np.asarray(groups), return_inverse=True)[1]
    sides_N = np.full(len(labels_N), "training", dtype="<U10")
    rest_N = np.arange(len(labels_N))
    left = 1.0
    wanted: list[tuple[Side, float, int]] = [
        ("test", fractions.test, test_seed),
        ("validation", fractions.validation, seed),
    ]
    for side, fraction, own_seed in wanted:
        if fraction <= 0:
            continue
        held_N = _held_out(labels_N[rest_N], group_N[rest_N], fraction / left, own_seed)
        sides_N[rest_N[held_N]] = side
        rest_N = rest_N[~held_N]
        left -= fraction
        _require_two_classes(labels_N[sides_N == side], side)
    sides: list[Side] = sides_N.tolist()
    require_whole_groups(groups, sides)
    return sides


def fold_of_each(labels: Sequence[int], groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Return fold_N: the fold, 0 to folds - 1, in which each image validates, with its whole group.

    The only group of a class validates in none (-1): it is needed in training. Raises DataError when there are fewer
    groups than folds, when a fold would validate fewer than two classes, or train without one.
    """
    labels_N = np.asarray(labels)
    group_N = np.unique(np.asarray(groups), return_inverse=True)[1]
    groups_of = _groups_of(labels_N, group_N)
    alone = {own[0] for own in groups_of.values() if len(own) == 1}
    most = max(len(set(own) - alone) for own in groups_of.values())
    if most < folds:
        raise DataError(
            f"--folds {folds}: no class has more than {most} groups (patients) to deal out; ask for fewer folds"
        )
    fold_N = np.full(len(labels_N), -1)
    shared_N = np.flatnonzero(~np.isin(group_N, sorted(alone)))
    for fold, held_N in enumerate(_cut(labels_N[shared_N], group_N[shared_N], folds, seed)):
        fold_N[shared_N[held_N]] = fold
    for own in groups_of.values():
        where = {int(fold_N[group_N == group][0]) for group in own}
        if len(own) > 1 and len(where) == 1:  # both groups of a rare class in one fold: training there would have none
            fold_N[group_N == own[0]] = (where.pop() + 1) % folds
    for fold in range(folds):
        _require_two_classes(labels_N[fold_N == fold], f"validation of fold {fold + 1}")
        missing = set(groups_of) - set(labels_N[fold_N != fold].tolist())
        if missing:
            raise DataError(f"--folds {folds}: fold {fold + 1} would train without class index {min(missing)}")
    require_whole_groups(groups, [str(fold) for fold in fold_N.tolist()])
    return fold_N


def require_whole_groups(groups: Sequence[str], sides: Sequence[str]) -> None:
    """Raise DataError with the offenders where a group stands on two sides."""
    seen: dict[str, set[str]] = {}
    for group, side in zip(groups, sides, strict=True):
        seen.setdefault(group, set()).add(side)
    crossing = sorted(group for group, own in seen.items() if len(own) > 1)
    if crossing:
        examples = ", ".join(f"{group} ({' and '.join(sorted(seen[group]))})" for group in crossing[:5])
        raise DataError(f"{len(crossing)} groups stand on two sides of the split: {examples}")


def _held_out(labels_N: np.ndarray, group_N: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return is_held_N for about `fraction` of each class's images; a class of two groups or more is on both sides.

    Each class's groups come in random order, and one is held where that brings the class nearer to its share.
    """
    rng = np.random.default_rng(seed)
    images_G = np.bincount(group_N)
    drawn_from = _groups_of(_main_class(labels_N, group_N)[group_N], group_N)
    held: set[int] = set()
    for own in drawn_from.values():
        missing = fraction * images_G[own].sum()
        for group in rng.permutation(own).tolist():
            if abs(missing - images_G[group]) < missing:
                held.add(group)
                missing -= images_G[group]
    groups_of = _groups_of(labels_N, group_N)
    for own in groups_of.values():
        if len(own) > 1 and not held & set(own):
            held.add(min(rng.permutation(own).tolist(), key=lambda group: images_G[group]))
    for own in groups_of.values():  # after that: a class is in training first
        if held >= set(own):
            held.remove(min(own, key=lambda group: images_G[group]))
    return np.isin(group_N, sorted(held))


def _main_class(labels_N: np.ndarray, group_N: np.ndarray) -> np.ndarray:
    """Return label_G: the class of most of a group's images; labels that disagree within a group are rare."""
    classes = np.unique(labels_N)
    images_KG = [np.bincount(group_N[labels_N == k], minlength=group_N.max() + 1) for k in classes]
    return np.asarray(classes[np.argmax(images_KG, axis=0)])


def _groups_of(labels_N: np.ndarray, group_N: np.ndarray) -> dict[int, list[int]]:
    """Return the groups of each class."""
    return {int(label): np.unique(group_N[labels_N == label]).tolist() for label in np.unique(labels_N)}


def _cut(labels_N: np.ndarray, group_N: np.ndarray, folds: int, seed: int) -> Iterator[np.ndarray]:
    """Yield is_held_N of each fold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer groups than folds, which are seen to
        for _, held in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels_N, labels_N, group_N):
            held_N = np.zeros(len(labels_N), dtype=bool)
            held_N[held] = True
            yield held_N


def _require_two_classes(labels_N: np.ndarray, side: str) -> None:
    if len(np.unique(labels_N)) < 2:
        raise DataError(
            f"{side} would have images of fewer than two classes: too few groups (patients) to split; add patients"
        )
