"""Sensitivity at a stated specificity: the threshold is chosen on validation and only applied to test."""

import math
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.intervals import Interval, grouped_intervals

STATED_SPECIFICITY = 0.95


@dataclass(frozen=True)
class ThresholdScores:
    """Sensitivity and the specificity really reached, each with its 95 % interval; `reasons` where one has none."""

    sensitivity: Interval
    specificity: Interval
    reasons: dict[str, str]


def threshold_at_specificity(probs_N: np.ndarray, labels_N: np.ndarray, specificity: float) -> float | None:
    """Return the lowest threshold whose specificity is at least the stated one; None without negatives.

    probs_N is the probability of class 1; an image is positive at or above the threshold, which is a probability that
    occurs, or just above the highest one. Raises ValueError for a specificity outside [0, 1].
    """
    if not 0 <= specificity <= 1:
        raise ValueError(f"a specificity lies between 0 and 1, not at {specificity}")
    negatives = np.sort(probs_N[labels_N != 1])
    if len(negatives) == 0:
        return None
    below = math.ceil(specificity * len(negatives) - 1e-9)  # so many negatives must lie below the threshold
    if below == 0:
        return float(probs_N.min())
    highest_below = negatives[below - 1]
    higher = probs_N[probs_N > highest_below]
    return float(higher.min() if len(higher) else np.nextafter(highest_below, np.inf))


def scores_at_threshold(
    probs_N: np.ndarray, labels_N: np.ndarray, groups_N: np.ndarray, threshold: float
) -> ThresholdScores:
    """Return what a threshold on the probability of class 1 does; exact binomial where every group is one image."""
    called_NK = np.eye(2)[(probs_N >= threshold).astype(int)]
    found = grouped_intervals(called_NK, labels_N, groups_N)
    reasons = {name: why for name, why in found.reasons.items() if name in ("sensitivity", "specificity")}
    return ThresholdScores(found.intervals["sensitivity"], found.intervals["specificity"], reasons)
