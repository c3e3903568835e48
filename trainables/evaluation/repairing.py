"""Does a model of image pairs use which images belong together? Partners are shuffled within each class, and scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.intervals import Interval
from trainables.evaluation.metrics import METRICS, classification_metrics
from trainables.evaluation.temperature import probabilities

SHUFFLES = 20
BOUNDS_PERCENT = (2.5, 97.5)
FEWEST_GROUPS = 5  # of each class; fewer can hardly change partners in other ways, and no score is told
ROUNDING = 1e-9  # of the same score, computed in another order


@dataclass(frozen=True, kw_only=True)
class Repairing:
    """Each metric over shuffles of the partners within their class: mean, and the bounds of 95 % of the shuffles.

    Every image and label stays; what is gone is which two images are of one case. `reason` says why there are none.
    """

    shuffles: int
    metrics: dict[str, Interval]
    reason: str = ""


def repairing(
    predict: Callable[[np.ndarray], np.ndarray],
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    seed: int,
    severity_K: Sequence[int] = (),
) -> Repairing:
    """Return the scores with other partners; `predict` gives logits_NK where case n has the partner of partner_N[n]."""
    for label in np.unique(labels_N):
        sizes = np.unique(groups_N[labels_N == label], return_counts=True)[1]
        reason = _why_not(sizes)
        if reason:
            return Repairing(shuffles=0, metrics={}, reason=reason)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    found: dict[str, list[float]] = {}
    for _ in range(SHUFFLES):
        probs_NK = probabilities(predict(shuffled_partners(labels_N, groups_N, rng)))
        for name, value in classification_metrics(probs_NK, labels_N, severity_K).items():
            found.setdefault(name, []).extend([] if value is None else [value])
    return Repairing(shuffles=SHUFFLES, metrics={name: _over_shuffles(values) for name, values in found.items()})


def _why_not(sizes: np.ndarray) -> str:
    """Return why a class whose groups have so many cases cannot be re-paired, nothing where it can."""
    if len(sizes) < FEWEST_GROUPS:
        return f"a class has {len(sizes)} groups; at least {FEWEST_GROUPS} are needed"
    if 2 * sizes.max() > sizes.sum():
        return f"a class has {sizes.max()} of {sizes.sum()} cases in one group; none may have more than half"
    return ""


def shuffled_partners(labels_N: np.ndarray, groups_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each case whose partner it gets: one of its class and another group, each partner once.

    Needs classes in which no group has more than half of the cases: slices of one patient are partners of each other.
    """
    partner_N = np.arange(len(labels_N))
    for label in np.unique(labels_N):
        own = rng.permutation(np.flatnonzero(labels_N == label))
        names, sizes = np.unique(groups_N[own], return_counts=True)
        place = {name: place for place, name in enumerate(rng.permutation(names))}
        ring = own[np.argsort([place[group] for group in groups_N[own]], kind="stable")]  # each group in one piece
        shift = rng.integers(sizes.max(), len(ring) - sizes.max(), endpoint=True)  # so none reaches its own group
        partner_N[ring] = np.roll(ring, shift)
    return partner_N


def rests_on_pairs(score: float | None, shuffled: Interval, metric: str) -> bool | None:
    """Say whether a score is better than 97.5 % of the shuffles; None where one of them is missing."""
    _, low, high = shuffled
    if score is None or low is None or high is None:
        return None
    return score > high + ROUNDING if METRICS[metric] == "max" else score < low - ROUNDING


def _over_shuffles(values: Sequence[float]) -> Interval:
    if len(values) < SHUFFLES:  # a metric that some shuffles do not have
        return None, None, None
    low, high = np.percentile(values, BOUNDS_PERCENT)
    return float(np.mean(values)), float(low), float(high)
