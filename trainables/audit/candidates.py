"""Pairs of images that may be copies of one picture: the nearest neighbours under each view and orientation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trainables.audit.fingerprints import FRAME, HEAD, View, Whitening, fit_whitening
from trainables.audit.neighbours import Nearest
from trainables.audit.orientations import ORIENTATIONS, SAME, orient

_VIEWS = (FRAME, HEAD)
_SIDE_PX, _DIMENSIONS = 24, 128
_BLOCK_ROWS = 256
_NEAREST = 4  # of each view, in the same orientation and, apart from that, in any other
_AT_LEAST = 0.35
_MOST_PER_IMAGE = 5


@dataclass(frozen=True)
class Candidate:
    """`first`, laid out as `orientation` and turned by `degrees`, resembles `second` (or its negative) under a view."""

    first: int
    second: int
    view: View
    orientation: int
    degrees: float
    similarity: float
    is_negative: bool


def find_candidates(thumbnails_NHW: np.ndarray, progress: Callable[[int, int], None]) -> list[Candidate]:
    """Return the best candidate of every pair and view that is near, most similar first.

    Time grows with the square of the images (26 matrix products of N x 128 by 128 x N), memory with the images.
    """
    best: dict[tuple[int, int, str], Candidate] = {}
    for v, view in enumerate(_VIEWS):
        upright_NHW = view.pictures(thumbnails_NHW, 0.0, _SIDE_PX)
        whitening = fit_whitening(upright_NHW, _DIMENSIONS)
        base_ND = whitening.vectors(upright_NHW)
        for start in range(0, len(base_ND), _BLOCK_ROWS):
            own_B = np.arange(start, min(start + _BLOCK_ROWS, len(base_ND)))
            for found in _near_block(view, whitening, thumbnails_NHW, base_ND, own_B):
                key = (min(found.first, found.second), max(found.first, found.second), view.name)
                if key not in best or best[key].similarity < found.similarity:
                    best[key] = found
            progress(v * len(base_ND) + int(own_B[-1]) + 1, len(_VIEWS) * len(base_ND))
    return _likest(sorted(best.values(), key=lambda one: (-one.similarity, one.first, one.second)), len(thumbnails_NHW))


def _likest(candidates: list[Candidate], num_images: int) -> list[Candidate]:
    """Keep what is among the first few of either image: of planted copies 99 % are, of all candidates a quarter."""
    seen, kept = [0] * num_images, []
    for one in candidates:
        if min(seen[one.first], seen[one.second]) < _MOST_PER_IMAGE:
            kept.append(one)
        seen[one.first] += 1
        seen[one.second] += 1
    return kept


def _near_block(
    view: View, whitening: Whitening, thumbnails_NHW: np.ndarray, base_ND: np.ndarray, own_B: np.ndarray
) -> Iterator[Candidate]:
    same, turned = (Nearest(len(own_B), _NEAREST, _AT_LEAST) for _ in range(2))
    variants = _variants(view)
    small_of_degrees = {d: view.pictures(thumbnails_NHW[own_B], d, _SIDE_PX) for d in view.degrees}
    for i, (orientation, degrees) in enumerate(variants):
        query_BD = whitening.vectors(orient(small_of_degrees[degrees], orientation))
        (same if orientation == SAME else turned).add_products(query_BD, base_ND, own_B, i)
    for nearest in (same, turned):
        for row, slot in zip(*np.nonzero(nearest.column_BK >= 0), strict=True):
            orientation, degrees = variants[nearest.variant_BK[row, slot]]
            signed = float(nearest.similarity_BK[row, slot])
            first, second = int(own_B[row]), int(nearest.column_BK[row, slot])
            yield Candidate(first, second, view, orientation, degrees, abs(signed), signed < 0)


def _variants(view: View) -> list[tuple[int, float]]:
    """Return orientations and rotations to query with.

    Every pair is seen from both sides, so what the other side's query covers is left out: 270 degrees are the other's
    90, a rotation to the right is the other's to the left. Mirrored orientations undo themselves: they need both.
    """
    return [
        (orientation, degrees)
        for degrees in view.degrees
        for orientation in ORIENTATIONS
        if orientation >= 4 or degrees > 0 or (degrees == 0 and orientation < 3)
    ]
