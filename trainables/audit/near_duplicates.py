"""Copies in a data set: the same bytes, the same pixels, or the same picture after resizing, turning, retouching."""

import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainables.audit.alignment import align, starting_map
from trainables.audit.candidates import Candidate, find_candidates
from trainables.audit.facts import AuditInput
from trainables.audit.fingerprints import FLAT_STD, contrast
from trainables.audit.orientations import inverse, name_of, orient
from trainables.audit.tails import MIN_TAIL, own_per_other, threshold_beyond
from trainables.audit.unions import Unions

Kind = Literal["bytes", "pixels", "near"]
_CHUNK = 512
# Correlation of fine detail after alignment that makes two images one picture: found on the set, from least to most.
_LEAST, _DEFAULT, _MOST, _CERTAIN = 0.88, 0.90, 0.92, 0.95
_TAIL_SHARE = 0.02  # of the images: so many of the likest pairs of different classes are looked at
_FALSE_PAIRS_PER_IMAGE = 3e-4
_MIN_NULL = 200  # pairs of different classes; with fewer the default holds


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that show one picture; `correlation` is that of their fine detail once one is laid on the other."""

    first: int
    second: int
    kind: Kind
    how: str
    correlation: float


def find_near_duplicates(images: AuditInput, progress: Callable[[str, int, int], None]) -> list[DuplicatePair]:
    """Return pairs whose union holds all copies: a spanning set, never all pairs of a large cluster.

    Source of the idea: candidates by a set-whitened fingerprint, confirmed by pixel correlation after alignment.
    """
    if not images.images:
        return []
    unions = Unions(len(images.images))
    found = _same("bytes", "byte for byte", (image.facts.sha256 for image in images.images), unions)
    found += _same("pixels", "same pixels, stored otherwise", (i.facts.pixels_sha256 for i in images.images), unions)
    stds_N = contrast(images.thumbnails_NHW)
    rows = np.array([i for i, std in enumerate(stds_N) if std >= FLAT_STD and unions.find(i) == i], dtype=np.int64)
    if len(rows) < 2:
        return found
    thumbnails_NHW = images.thumbnails_NHW[rows]
    candidates = find_candidates(thumbnails_NHW, lambda done, of: progress("comparing images", done, of))
    certain = Unions(len(rows))
    confirmed: list[tuple[Candidate, float]] = []
    for chunk in _chunks(candidates, certain, lambda done, of: progress("checking copies", done, of)):
        confirmed += zip(chunk, _correlations(thumbnails_NHW, chunk), strict=True)
        for one, correlation in confirmed[-len(chunk) :]:
            if correlation >= _CERTAIN:
                certain.join(one.first, one.second)
    threshold = _threshold(confirmed, np.array([images.images[i].label for i in rows]))
    for one, correlation in sorted(confirmed, key=lambda pair: (-pair[1], pair[0].first, pair[0].second)):
        if correlation >= threshold and unions.join(int(rows[one.first]), int(rows[one.second])):
            found.append(_near(one, rows, correlation))
    return found


def _chunks(
    candidates: list[Candidate], certain: Unions, progress: Callable[[int, int], None]
) -> Iterator[list[Candidate]]:
    """Yield candidates most similar first, without those that are joined by certain copies by then."""
    for start in range(0, len(candidates), _CHUNK):
        open_ = [one for one in candidates[start : start + _CHUNK] if not certain.joined(one.first, one.second)]
        if open_:
            yield open_
        progress(min(start + _CHUNK, len(candidates)), len(candidates))


def _same(kind: Kind, how: str, keys: Iterable[Hashable], unions: Unions) -> list[DuplicatePair]:
    first_of: dict[Hashable, int] = {}
    pairs = ((first_of.setdefault(key, i), i) for i, key in enumerate(keys))
    return [DuplicatePair(a, b, kind, how, 1.0) for a, b in pairs if a != b and unions.join(a, b)]


def _correlations(thumbnails_NHW: np.ndarray, candidates: list[Candidate]) -> list[float]:
    def correlation(one: Candidate) -> float:
        moving_HW, fixed_HW = orient(thumbnails_NHW[one.first], one.orientation), thumbnails_NHW[one.second]
        if one.is_negative:
            moving_HW = 255 - moving_HW
        return align(moving_HW, fixed_HW, starting_map(moving_HW, fixed_HW, one.view, one.degrees))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the work is in OpenCV, which lets other threads run
        return list(pool.map(correlation, candidates))


def _threshold(confirmed: list[tuple[Candidate, float]], label_R: np.ndarray) -> float:
    """Return the correlation from which two images are one picture: above what different classes reach."""
    different_M = np.array([value for one, value in confirmed if label_R[one.first] != label_R[one.second]])
    tail = max(MIN_TAIL, int(_TAIL_SHARE * len(label_R)))
    if len(different_M) < _MIN_NULL:
        return _DEFAULT
    allowed = _FALSE_PAIRS_PER_IMAGE * len(label_R)
    return float(np.clip(threshold_beyond(different_M, tail, own_per_other(label_R), allowed), _LEAST, _MOST))


def _near(one: Candidate, rows: np.ndarray, correlation: float) -> DuplicatePair:
    first, second, orientation = int(rows[one.first]), int(rows[one.second]), one.orientation
    if first > second:
        first, second, orientation = second, first, inverse(orientation)
    how = name_of(orientation) + (", negative" if one.is_negative else "")
    return DuplicatePair(first, second, "near", how, correlation)
