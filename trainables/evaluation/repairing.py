"""Does a model of image pairs use which images belong together? Partners are shuffled within each class, and scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.intervals import Interval
from trainables.evaluation.metrics import METRICS, classification_metrics
from trainables.evaluation.temperature import probabilities

SHUFFLES = 20
BOUNDS_PERCENT = (2.5, 97.5)
ROUNDING = 1e-9  # of the same score, computed in another order


@dataclass(frozen=True, kw_only=True)
class Repairing:
    """Each metric over shuffles of the partners within their class: mean, and the bounds of 95 % of the shuffles.

    Every image and label stays; what is gone is which two images are of one case.
    """

    shuffles: int
    metrics: dict[str, Interval]


def repairing(
    predict: Callable[[np.ndarray], np.ndarray], labels_N: np.ndarray, seed: int, severity_K: Sequence[int] = ()
) -> Repairing:
    """Return the scores with other partners; `predict` gives logits_NK where case n has the partner of partner_N[n]."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    found: dict[str, list[float]] = {}
    for _ in range(SHUFFLES):
        probs_NK = probabilities(predict(shuffled_partners(labels_N, rng)))
        for name, value in classification_metrics(probs_NK, labels_N, severity_K).items():
            found.setdefault(name, []).extend([] if value is None else [value])
    return Repairing(shuffles=SHUFFLES, metrics={name: _over_shuffles(values) for name, values in found.items()})


def shuffled_partners(labels_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each case whose partner it gets: one of its class, never its own where the class has two cases."""
    partner_N = np.arange(len(labels_N))
    for label in np.unique(labels_N):
        ring = rng.permutation(np.flatnonzero(labels_N == label))  # one cycle, so that none keeps its place
        partner_N[ring] = np.roll(ring, 1)
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
