"""Two models on the same images: which is better, by how much, and how sure that is.

AUROC of two classes where images are independent: DeLong et al. 1988 in the fast form of Sun and Xu 2014. Accuracy
there: exact McNemar. Everything else, and everything where images come in groups: draws of whole groups.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from trainables.evaluation.group_draws import GroupedSample, group_images, metric_spreads
from trainables.evaluation.intervals import DRAWS, ROUNDING, TAIL, groups_that_count, metric_range
from trainables.evaluation.metrics import METRICS, checked_probabilities


@dataclass(frozen=True)
class PairedDifference:
    """By how much the first model is better (higher is better, whatever the metric), with its 95 % interval.

    `p_value` is two-sided. Where nothing can be told, `reason` says why and the interval and p are None.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    method: str
    reason: str = ""


@dataclass(frozen=True)
class _PairedSample:
    """Two models on the same groups, as `metric_spreads` draws them: its metrics are differences."""

    first: GroupedSample
    second: GroupedSample

    @property
    def stratum_G(self) -> np.ndarray:  # noqa: N802
        return self.first.stratum_G

    @property
    def strata(self) -> dict[int, int]:
        return self.first.strata

    def metrics(self, weights_BG: np.ndarray) -> dict[str, np.ndarray]:
        second = self.second.metrics(weights_BG)
        return {
            name: (values_B - second[name]) * (1 if METRICS[name] == "max" else -1)
            for name, values_B in self.first.metrics(weights_BG).items()
        }


def compare_models(
    first_NK: np.ndarray,
    second_NK: np.ndarray,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    metric: str,
    severity_K: Sequence[int] = (),
    seed: int = 0,
) -> PairedDifference:
    """Return how much better the first model is than the second, both given as probabilities of the same images.

    groups_N holds a name per image. Calibration errors are not compared: draws inflate them. Raises ValueError as
    `checked_probabilities`.
    """
    first_NK, second_NK = (checked_probabilities(probs_NK, labels_N) for probs_NK in (first_NK, second_NK))
    independent = len(np.unique(groups_N)) == len(labels_N)
    if metric == "auroc" and first_NK.shape[1] == 2 and independent and len(np.unique(labels_N)) == 2:
        return delong(first_NK[:, 1], second_NK[:, 1], labels_N)
    drawn = _by_groups(first_NK, second_NK, labels_N, groups_N, metric, severity_K, seed)
    if metric == "accuracy" and independent and drawn.reason == "":
        p_value = mcnemar(*(probs_NK.argmax(axis=1) == labels_N for probs_NK in (first_NK, second_NK)))
        return PairedDifference(metric, drawn.value, drawn.low, drawn.high, p_value, "exact McNemar")
    return drawn


def delong(first_N: np.ndarray, second_N: np.ndarray, labels_N: np.ndarray) -> PairedDifference:
    """Return the difference of two AUROCs on independent images; scores are higher where class 1 is likelier."""
    scores_2N = np.stack([first_N, second_N])
    positives_2P, negatives_2Q = scores_2N[:, labels_N == 1], scores_2N[:, labels_N != 1]
    num_positive, num_negative = positives_2P.shape[1], negatives_2Q.shape[1]
    if min(num_positive, num_negative) < 2:
        return PairedDifference("auroc", None, None, None, None, "DeLong", "one image only of a class")
    among_all = stats.rankdata(np.concatenate([positives_2P, negatives_2Q], axis=1), axis=1)
    above_2P = (among_all[:, :num_positive] - stats.rankdata(positives_2P, axis=1)) / num_negative
    below_2Q = 1 - (among_all[:, num_positive:] - stats.rankdata(negatives_2Q, axis=1)) / num_positive
    auroc_2 = above_2P.mean(axis=1)
    covariance_22 = np.cov(above_2P) / num_positive + np.cov(below_2Q) / num_negative
    contrast_2 = np.array([1.0, -1.0])
    standard_error = float(np.sqrt(max(contrast_2 @ covariance_22 @ contrast_2, 0.0)))
    value = float(contrast_2 @ auroc_2)
    if standard_error < ROUNDING:
        return _without_spread("auroc", value, min(num_positive, num_negative), 1.0, "DeLong")
    return _tested("auroc", value, standard_error, np.inf, "DeLong")


def mcnemar(first_right_N: np.ndarray, second_right_N: np.ndarray) -> float:
    """Return the exact two-sided p-value that two models err equally often; 1 where they never differ."""
    only_first = int((first_right_N & ~second_right_N).sum())
    only_second = int((second_right_N & ~first_right_N).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for how many there are. Holm 1979."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, p_value * (len(p_values) - rank)))
        adjusted[name] = highest
    return adjusted


def _by_groups(
    first_NK: np.ndarray,
    second_NK: np.ndarray,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    metric: str,
    severity_K: Sequence[int],
    seed: int,
) -> PairedDifference:
    method = "draws of groups"
    sample = _PairedSample(
        group_images(first_NK, labels_N, groups_N, severity_K), group_images(second_NK, labels_N, groups_N, severity_K)
    )
    here = sample.metrics(np.ones((1, len(sample.stratum_G)))).get(metric)
    if here is None or np.isnan(here[0]):
        why = "it is not compared" if here is None else "a class that it needs has no image"
        return PairedDifference(metric, None, None, None, None, method, f"{metric}: {why}")
    if min(sample.strata.values()) < 2:
        return PairedDifference(metric, float(here[0]), None, None, None, method, "one group only of a class")
    spread = metric_spreads(sample, seed, DRAWS)[metric]
    if spread is None:
        lost = "a class that it needs is missing from too many draws"
        return PairedDifference(metric, float(here[0]), None, None, None, method, lost)
    if spread.standard_error < ROUNDING:
        least, most = metric_range(metric, first_NK.shape[1])
        groups = groups_that_count(metric, sample.first)
        return _without_spread(metric, float(here[0]), groups, most - least, method)
    return _tested(metric, float(here[0]), spread.standard_error, spread.degrees_of_freedom, method)


def _without_spread(metric: str, value: float, groups: int, width: float, method: str) -> PairedDifference:
    """Return what `groups` can tell that all say the same: how large a share of another kind may be unseen.

    That share of the metric's whole width is half of the interval (Clopper and Pearson 1934), p that of a sign test.
    """
    if np.isinf(width):
        same = "is the same" if abs(value) < ROUNDING else "differs by the same"
        return PairedDifference(metric, value, None, None, None, method, f"{metric} {same} in all groups")
    unseen = width * (1 - TAIL ** (1 / groups))
    p_value = 1.0 if abs(value) < ROUNDING else min(1.0, 2 * 0.5**groups)
    return PairedDifference(metric, value, value - unseen, value + unseen, p_value, method)


def _tested(metric: str, value: float, standard_error: float, freedom: float, method: str) -> PairedDifference:
    """Return interval and p of Student's t."""
    half = float(stats.t.ppf(1 - TAIL, freedom)) * standard_error
    p_value = float(2 * stats.t.sf(abs(value) / standard_error, freedom))
    return PairedDifference(metric, value, value - half, value + half, p_value, method)
