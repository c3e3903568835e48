"""Slices of one subject: images of one class that are more alike than images of different subjects ever are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.audit.facts import AuditInput
from trainables.audit.fingerprints import FLAT_STD, contrast, fit_whitening, shrink
from trainables.audit.near_duplicates import DuplicatePair
from trainables.audit.neighbours import Nearest
from trainables.audit.tails import MIN_TAIL, own_per_other, threshold_beyond
from trainables.audit.unions import Unions, joined

_SIDE_PX, _DIMENSIONS = 24, 256
_BLOCK_ROWS = 256
_NEAREST = 6
_AT_LEAST = 0.2
_FALSE_LINKS_PER_IMAGE = 0.0007  # expected links between different subjects that a threshold may let through
_TAIL_SHARE = 0.1  # of the images' likest ones of other classes: the tail that is extended beyond what was seen
_HIGHEST = 0.99
_MIN_LINKED_SHARE = 0.05  # of the images; fewer linked ones are no sign that the set holds several slices a subject
_MAX_GROUP_SHARE, _MAX_GROUP = 0.1, 64
_RAISES = 8
_MIN_GAP, _NEAR_LINE = 0.05, 0.1


@dataclass(frozen=True)
class SubjectGroups:
    """The group of every image (group_N, numbered from 0; single images are groups too) and how the line was drawn.

    `threshold` is the likeness above which two images of one class count as one subject; None where only copies group.
    """

    group_N: np.ndarray
    threshold: float | None
    why: str


@dataclass(frozen=True)
class _Links:
    """Pairs of images (first < second) and how alike they are, most alike first."""

    pairs_L2: np.ndarray
    likeness_L: np.ndarray


def group_subjects(images: AuditInput, duplicates: Sequence[DuplicatePair]) -> SubjectGroups:
    """Group the images of one subject, with a threshold that is found on the set itself.

    Images of different classes are surely of different subjects, copies apart: how alike they get says where the line
    is. Patient ids are not looked at. Copies stay together whatever their classes.
    """
    n = len(images.images)
    if n == 0:
        return SubjectGroups(np.zeros(0, np.int64), None, "there are no images")
    copies = joined(n, ((one.first, one.second) for one in duplicates))
    parts = [(image.label, image.modality) for image in images.images]
    number_of = {part: number for number, part in enumerate(sorted(set(parts)))}
    part_N = np.array([number_of[part] for part in parts], dtype=np.int64)
    rows = np.flatnonzero(contrast(images.thumbnails_NHW) >= FLAT_STD)
    if len(rows) < 2:
        return SubjectGroups(copies.numbers(), None, "too few images with any content: only copies are grouped")
    own, other = _links(images.thumbnails_NHW[rows], rows, part_N)
    other = _without_copies(other, copies)
    if len(other.likeness_L) < MIN_TAIL:
        why = "there are too few images of different classes to tell how alike different subjects look"
        return SubjectGroups(copies.numbers(), None, f"{why}: only copies are grouped")
    return _draw_line(n, own, other, part_N[rows], copies, duplicates)


def _draw_line(
    n: int, own: _Links, other: _Links, part_R: np.ndarray, copies: Unions, duplicates: Sequence[DuplicatePair]
) -> SubjectGroups:
    tail = max(MIN_TAIL, int(_TAIL_SHARE * len(part_R)))
    allowed = _FALSE_LINKS_PER_IMAGE * len(part_R)
    threshold = min(_HIGHEST, threshold_beyond(other.likeness_L, tail, own_per_other(part_R), allowed))
    exact = joined(n, ((one.first, one.second) for one in duplicates if one.kind != "near"))
    fresh = _without_copies(own, exact)
    linked_share = len(np.unique(fresh.pairs_L2[fresh.likeness_L > threshold])) / n
    if linked_share < _MIN_LINKED_SHARE:
        why = (
            f"only {linked_share:.1%} of the images are more alike ({threshold:.2f}) than images of different classes "
            "get: no sign of several slices of one subject, only copies are grouped"
        )
        return SubjectGroups(copies.numbers(), None, why)
    gap = _gap(n, own, threshold)
    lines = [threshold] if gap is None else [sum(gap) / 2]
    for line in [*lines, *np.linspace(max(lines), 1, _RAISES, endpoint=False)[1:]]:
        pairs = own.pairs_L2[own.likeness_L > line].tolist()
        group_N = joined(n, [*pairs, *((one.first, one.second) for one in duplicates)]).numbers()
        if int(np.bincount(group_N).max()) <= max(_MAX_GROUP, _MAX_GROUP_SHARE * n):
            why = f"images of different classes hardly ever get more alike than {threshold:.2f}"
            why += f", {linked_share:.0%} of the images are more alike than that to one of their own class"
            if gap is not None:
                why += f", and no threshold between {gap[0]:.2f} and {gap[1]:.2f} changes any group"
            if line > lines[0]:
                why += f"; raised to {line:.2f}, because lower ones chain subjects into groups without end"
            return SubjectGroups(group_N, float(line), why)
    why = "every threshold chains many subjects into one group: only copies are grouped"
    return SubjectGroups(copies.numbers(), None, why)


def _gap(n: int, own: _Links, threshold: float) -> tuple[float, float] | None:
    """Return the widest range of likeness in which no two groups join, if it starts near the threshold."""
    unions = Unions(n)
    joins_L = [unions.join(int(i), int(j)) for i, j in own.pairs_L2]
    heights_J = own.likeness_L[np.array(joins_L, dtype=bool)].astype(float)
    above_J = heights_J[heights_J > threshold - _NEAR_LINE]
    if len(above_J) < max(2, _MIN_LINKED_SHARE * n):
        return None
    heights_J = heights_J[: len(above_J) + 1]
    widths_J = heights_J[:-1] - heights_J[1:]
    widths_J[: int(_MIN_LINKED_SHARE * n)] = 0  # before that many joins there is hardly a group
    best = int(np.argmax(widths_J))
    low, high = float(heights_J[best + 1]), float(heights_J[best])
    return (low, high) if widths_J[best] >= _MIN_GAP and low <= threshold + _NEAR_LINE else None


def _links(thumbnails_RHW: np.ndarray, rows: np.ndarray, part_N: np.ndarray) -> tuple[_Links, _Links]:
    """Return the nearest neighbours within the class and modality, and those in other classes."""
    small_RHW = shrink(thumbnails_RHW, _SIDE_PX)
    vectors_RD = fit_whitening(small_RHW, _DIMENSIONS).vectors(small_RHW)
    own: list[_Links] = []
    other: list[_Links] = []
    part_R = part_N[rows]
    for part in np.unique(part_R):
        inside, outside = np.flatnonzero(part_R == part), np.flatnonzero(part_R != part)
        own.append(_links_between(vectors_RD, inside, inside, rows))
        other.append(_links_between(vectors_RD, inside, outside, rows))
    return _merged(own), _merged(other)


def _links_between(vectors_RD: np.ndarray, from_: np.ndarray, to: np.ndarray, rows: np.ndarray) -> _Links:
    pairs, likeness = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    base_MD = vectors_RD[to]
    for start in range(0, len(from_), _BLOCK_ROWS):
        block = from_[start : start + _BLOCK_ROWS]
        own_B = start + np.arange(len(block)) if from_ is to else np.full(len(block), -1)
        nearest = Nearest(len(block), _NEAREST, _AT_LEAST)
        nearest.add_products(vectors_RD[block], base_MD, own_B, 0)
        row, slot = np.nonzero(nearest.similarity_BK > 0)
        pairs.append(np.sort(np.stack([rows[block[row]], rows[to[nearest.column_BK[row, slot]]]], axis=1), axis=1))
        likeness.append(nearest.similarity_BK[row, slot])
    return _Links(np.concatenate(pairs), np.concatenate(likeness))


def _merged(links: list[_Links]) -> _Links:
    pairs_L2 = np.concatenate([one.pairs_L2 for one in links])
    likeness_L = np.concatenate([one.likeness_L for one in links])
    pairs_L2, first = np.unique(pairs_L2, axis=0, return_index=True)
    order = np.argsort(-likeness_L[first], kind="stable")
    return _Links(pairs_L2[order], likeness_L[first][order])


def _without_copies(links: _Links, copies: Unions) -> _Links:
    group_N = copies.numbers()
    apart_L = group_N[links.pairs_L2[:, 0]] != group_N[links.pairs_L2[:, 1]]
    return _Links(links.pairs_L2[apart_L], links.likeness_L[apart_L])
