"""95 % intervals of metrics when images come in groups: whole groups are drawn, never single images.

Slices of one patient are not independent; a bootstrap over slices claims far too much. How often these intervals hold
the truth, and those over slices, is measured by tests/benchmarks/interval_coverage.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # not scipy.stats: every command that shows a score would load it for a second

from trainables.evaluation.group_draws import GroupedSample, Spread, group_images, metric_spreads
from trainables.evaluation.metrics import METRICS, checked_probabilities

DRAWS = 2000
TAIL = 0.025  # on each side of a 95 % interval
FEW_GROUPS = 30
ROUNDING = 1e-12  # draws that differ by less are the same

Interval = tuple[float | None, float | None, float | None]  # value, low, high


@dataclass(frozen=True)
class GroupedIntervals:
    """metric -> (value, low, high); `reasons` says why a metric has no interval, `warning` what to beware of."""

    intervals: dict[str, Interval]
    reasons: dict[str, str]
    groups: int
    warning: str

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        """Return low and high of the metrics that have them."""
        found = self.intervals.items()
        return {name: (low, high) for name, (_, low, high) in found if low is not None and high is not None}


def grouped_intervals(
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    seed: int = 0,
    draws: int = DRAWS,
    severity_K: Sequence[int] = (),
) -> GroupedIntervals:
    """Return 95 % intervals of every metric but the calibration errors, which resampling itself inflates.

    Student's t on the logit scale (log loss: log scale) around the value, its spread from draws of whole groups,
    stratified by class (`metric_spreads`). Where every group is one image, accuracy, sensitivity and specificity are
    exact binomial (Clopper and Pearson); a metric at the very end of its range gets their bound with groups for counts.
    groups_N holds a name per image, severity_K the rank of each class where they have an order (`weighted_metrics`).
    Raises ValueError as `checked_probabilities`, or where a group is missing.
    """
    if len(groups_N) != len(labels_N):
        raise ValueError("groups_N must name the group of each image")
    sample = group_images(checked_probabilities(probs_NK, labels_N), labels_N, groups_N, severity_K)
    groups, num_classes = len(sample.stratum_G), probs_NK.shape[1]
    values = {name: float(value[0]) for name, value in sample.metrics(np.ones((1, groups))).items()}
    exact = _exact_bounds(sample) if groups == len(labels_N) else {}
    fault = _too_few_groups(sample)
    spreads = {} if fault else metric_spreads(sample, seed, draws)
    intervals: dict[str, Interval] = {}
    reasons: dict[str, str] = {}
    for name in (name for name in METRICS if name in values):
        value, spread, bounds = values[name], spreads.get(name), exact.get(name)
        if np.isnan(value):
            intervals[name] = (None, None, None)
            reasons[name] = "a class that it needs has no image"
            continue
        if bounds is None and spread is not None:
            bounds = _bounds(value, spread, *metric_range(name, num_classes), groups_that_count(name, sample))
        intervals[name] = (value, *(bounds or (None, None)))
        if bounds is None:
            lost = "a class that it needs is missing from too many draws"
            reasons[name] = fault or (lost if spread is None else "every draw gives the same value")
    return GroupedIntervals(intervals, reasons, groups, few_groups_warning(groups))


def few_groups_warning(groups: int) -> str:
    """Return what to say of intervals from so few groups; nothing where there are enough."""
    if groups >= FEW_GROUPS:
        return ""
    return f"95 % intervals rest on {groups} groups, fewer than {FEW_GROUPS}: they may be too narrow"


def binomial_bounds(hits: int, of: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share (Clopper and Pearson 1934)."""
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, of - hits + 1, TAIL))
    high = 1.0 if hits == of else float(special.betaincinv(hits + 1, of - hits, 1 - TAIL))
    return low, high


def _too_few_groups(sample: GroupedSample) -> str:
    few = [str(stratum) for stratum, size in sample.strata.items() if size < 2]
    if few:
        return f"one group only of class {', '.join(few)}"
    return "" if sample.strata else "there are no images"


def _exact_bounds(sample: GroupedSample) -> dict[str, tuple[float, float]]:
    right_N = sample.probs_NK.argmax(axis=1) == sample.labels_N
    counted = {"accuracy": np.ones(len(right_N), dtype=bool)}
    if sample.probs_NK.shape[1] == 2:
        counted |= {"sensitivity": sample.labels_N == 1, "specificity": sample.labels_N == 0}
    return {
        name: binomial_bounds(int(right_N[chosen_N].sum()), int(chosen_N.sum()))
        for name, chosen_N in counted.items()
        if chosen_N.any()
    }


def metric_range(name: str, num_classes: int) -> tuple[float, float]:
    """Return the least and the greatest value that a metric can have."""
    if name == "log_loss":
        return 0, np.inf
    return (-1, 1) if name in ("mcc", "quadratic_kappa") else (0, 2 if name == "brier" and num_classes > 2 else 1)


def groups_that_count(name: str, sample: GroupedSample) -> int:
    """Return how many groups bear a metric: with images of its class, all for accuracy, of the rarest class else."""
    if name == "accuracy":
        return len(sample.stratum_G)
    classes_P = np.unique(np.stack([sample.group_N, sample.labels_N]), axis=1)[1]  # of each pair of group and class
    groups = dict(zip(*(values.tolist() for values in np.unique(classes_P, return_counts=True)), strict=True))
    own = {"sensitivity": 1, "specificity": 0}
    return int(groups.get(own[name], 1) if name in own else min(groups.values()))


def _bounds(value: float, spread: Spread, least: float, most: float, groups: int) -> tuple[float, float] | None:
    """Return low and high, inside the range; None where the draws do not vary and the value is at no end."""
    t = float(special.stdtrit(spread.degrees_of_freedom, 1 - TAIL))
    if np.isinf(most):
        if value == least or spread.standard_error < ROUNDING:
            return None
        factor = float(np.exp(t * spread.standard_error / value))
        return value / factor, value * factor
    share, width = (value - least) / (most - least), most - least
    if share in (0.0, 1.0):
        low, high = binomial_bounds(groups if share else 0, groups)
    elif spread.standard_error < ROUNDING:
        return None
    else:
        half = t * spread.standard_error / width / (share * (1 - share))
        centre = np.log(share / (1 - share))
        low, high = (float(1 / (1 + np.exp(-end))) for end in (centre - half, centre + half))
    return least + width * low, least + width * high
