"""How much metrics vary when other groups (patients) of the same kind had been imaged: draws of whole groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trainables.evaluation.weighted_metrics import weighted_metrics

SMALL_STRATUM = 100  # groups; what a larger class leaves in degrees of freedom does not matter
MOST_DRAWS_LOST = 0.05
ELEMENTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class GroupedSample:
    """Images and the groups they come from; the stratum of a group is the class of most of its images."""

    probs_NK: np.ndarray
    labels_N: np.ndarray
    group_N: np.ndarray  # index of each image's group
    stratum_G: np.ndarray
    severity_K: Sequence[int]  # rank of each class; empty where they have no order

    @property
    def strata(self) -> dict[int, int]:
        """Return class -> number of groups, for the classes that have any."""
        classes, sizes = np.unique(self.stratum_G, return_counts=True)
        return dict(zip(classes.tolist(), sizes.tolist(), strict=True))

    def metrics(self, weights_BG: np.ndarray) -> dict[str, np.ndarray]:
        """Return metric -> values_B for weights of groups, some rows at a time."""
        rows, ranks = max(1, ELEMENTS_AT_ONCE // max(1, len(self.group_N))), self.severity_K
        parts = [
            weighted_metrics(self.probs_NK, self.labels_N, weights_BG[start : start + rows][:, self.group_N], ranks)
            for start in range(0, len(weights_BG), rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Drawable(Protocol):
    """What can be weighed by group: one model's metrics, or how two differ."""

    @property
    def stratum_G(self) -> np.ndarray:  # noqa: N802
        """Return the stratum of each group."""
        ...

    @property
    def strata(self) -> dict[int, int]:
        """Return stratum -> number of groups."""
        ...

    def metrics(self, weights_BG: np.ndarray) -> dict[str, np.ndarray]:
        """Return metric -> values_B for weights of groups."""
        ...


@dataclass(frozen=True)
class Spread:
    """Standard error of a metric, and the degrees of freedom that it was estimated with."""

    standard_error: float
    degrees_of_freedom: float


def group_images(
    probs_NK: np.ndarray, labels_N: np.ndarray, groups_N: np.ndarray, severity_K: Sequence[int] = ()
) -> GroupedSample:
    """Return the sample; groups_N holds a name per image. Of equally frequent classes, the first is the stratum."""
    group_N = np.unique(groups_N, return_inverse=True)[1]
    counts_GK = np.zeros((group_N.max(initial=-1) + 1, probs_NK.shape[1]), dtype=int)
    np.add.at(counts_GK, (group_N, labels_N), 1)
    return GroupedSample(probs_NK, labels_N, group_N, counts_GK.argmax(axis=1), severity_K)


def metric_spreads(sample: Drawable, seed: int, draws: int) -> dict[str, Spread | None]:
    """Return each metric's spread; None where too many draws cannot give it. Every stratum has two groups or more.

    Each draw takes one group fewer than a stratum has, weighted up (Rao and Wu 1988): as large a variance as there is,
    where as many as there are would show (n - 1) / n of it. Degrees of freedom after Welch and Satterthwaite, the
    part of a small stratum by leaving out one group at a time, of a large one taken to be everything.
    """
    strata = sample.strata
    drawn = sample.metrics(_draw_groups(sample.stratum_G, strata, np.random.default_rng(seed), draws))
    left_out = {
        stratum: sample.metrics(_leave_one_out(sample.stratum_G, stratum))
        for stratum, size in strata.items()
        if size <= SMALL_STRATUM
    }
    spreads: dict[str, Spread | None] = {}
    for name, values_B in drawn.items():
        there_B = ~np.isnan(values_B)
        if there_B.mean() < 1 - MOST_DRAWS_LOST:
            spreads[name] = None
            continue
        variance = float(values_B[there_B].var())
        shares = {stratum: variance for stratum in strata}
        for stratum, values in left_out.items():
            own = float((strata[stratum] - 1) * values[name].var())
            shares[stratum] = variance if np.isnan(own) else own
        unsure = sum(share**2 / (strata[stratum] - 1) for stratum, share in shares.items())
        freedom = [size - 1 for size in strata.values()]
        welch = sum(shares.values()) ** 2 / unsure if unsure > 0 else min(freedom)
        spreads[name] = Spread(float(np.sqrt(variance)), float(np.clip(welch, min(freedom), sum(freedom))))
    return spreads


def _draw_groups(stratum_G: np.ndarray, strata: dict[int, int], rng: np.random.Generator, draws: int) -> np.ndarray:
    weights_BG = np.zeros((draws, len(stratum_G)))
    for stratum, size in strata.items():
        counts = rng.multinomial(size - 1, np.full(size, 1 / size), size=draws)
        weights_BG[:, stratum_G == stratum] = counts * (size / (size - 1))
    return weights_BG


def _leave_one_out(stratum_G: np.ndarray, stratum: int) -> np.ndarray:
    """Return weights_BG, a row per group of the stratum without it; the others of the stratum make up for it."""
    own = np.flatnonzero(stratum_G == stratum)
    weights_BG = np.ones((len(own), len(stratum_G)))
    weights_BG[:, own] = len(own) / (len(own) - 1)
    weights_BG[np.arange(len(own)), own] = 0
    return weights_BG
