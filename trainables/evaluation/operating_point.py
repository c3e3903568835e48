"""Sensitivity at a stated specificity: the threshold is chosen on validation and only applied to test."""

import math

import numpy as np


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


def sensitivity_at(probs_N: np.ndarray, labels_N: np.ndarray, threshold: float) -> float | None:
    """Return the share of the positives (class 1) at or above the threshold; None without positives."""
    positives = probs_N[labels_N == 1]
    return float((positives >= threshold).mean()) if len(positives) else None
