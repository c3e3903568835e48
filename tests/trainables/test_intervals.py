"""Intervals by group: what they hold, what they refuse, and that slices are not taken for patients."""

import numpy as np
import pytest
from scipy import stats

from trainables.evaluation.intervals import binomial_bounds, few_groups_warning, grouped_intervals
from trainables.evaluation.metrics import METRICS, classification_metrics


def two_class(p_N) -> np.ndarray:
    return np.stack([1 - np.asarray(p_N), np.asarray(p_N)], axis=1)


def patients(seed: int, groups: int, slices: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probs_NK, labels_N and groups_N: the slices of a patient are alike."""
    rng = np.random.default_rng(seed)
    group_N = np.repeat(np.arange(groups), slices)
    labels_N = group_N % 2
    scores_N = 1.2 * labels_N - 0.6 + rng.normal(size=groups)[group_N] + 0.3 * rng.normal(size=len(group_N))
    return two_class(1 / (1 + np.exp(-scores_N))), labels_N, np.array([f"patient-{g}" for g in group_N])


def width(interval: tuple) -> float:
    return interval[2] - interval[1]


def test_every_interval_holds_its_value_inside_its_range() -> None:
    probs_NK, labels_N, groups_N = patients(0, 40)
    found = grouped_intervals(probs_NK, labels_N, groups_N)
    scores = classification_metrics(probs_NK, labels_N)
    assert set(found.intervals) == set(METRICS) - {"ece", "ece_adaptive", "quadratic_kappa"}
    assert found.reasons == {} and found.groups == 40 and found.warning == ""
    for name, (value, low, high) in found.intervals.items():
        assert value == scores[name]
        assert low < value < high
        assert low >= (-1 if name == "mcc" else 0)
        assert high <= 1 or name == "log_loss"
    assert found == grouped_intervals(probs_NK, labels_N, groups_N), "seeded"


def test_copies_of_a_slice_add_nothing() -> None:
    probs_NK, labels_N, groups_N = patients(1, 40, slices=1)
    once = grouped_intervals(probs_NK, labels_N, groups_N)
    often = grouped_intervals(np.repeat(probs_NK, 9, 0), np.repeat(labels_N, 9), np.repeat(groups_N, 9))
    as_if = grouped_intervals(np.repeat(probs_NK, 9, 0), np.repeat(labels_N, 9), np.arange(9 * 40))
    for name in ("auroc", "balanced_accuracy", "log_loss", "mcc"):
        assert often.intervals[name] == pytest.approx(once.intervals[name])
        assert width(as_if.intervals[name]) < 0.5 * width(often.intervals[name]), "slices claim too much"


def test_single_images_are_counted_exactly() -> None:
    probs_NK = two_class([0.9] * 7 + [0.1] * 3 + [0.2] * 9 + [0.8])
    labels_N = np.array([1] * 10 + [0] * 10)
    found = grouped_intervals(probs_NK, labels_N, np.arange(20)).intervals
    for name, hits, of in (("sensitivity", 7, 10), ("specificity", 9, 10), ("accuracy", 16, 20)):
        exact = stats.binomtest(hits, of).proportion_ci(method="exact")
        assert found[name] == pytest.approx((hits / of, exact.low, exact.high))
    assert binomial_bounds(0, 10) == (0, pytest.approx(1 - 0.025**0.1))


def test_a_perfect_score_is_not_certain() -> None:
    groups_N = np.repeat(np.arange(20), 3)
    labels_N = groups_N % 2
    found = grouped_intervals(two_class(0.1 + 0.8 * labels_N), labels_N, groups_N).intervals
    assert found["auroc"] == (1, pytest.approx(0.025 ** (1 / 10)), 1), "ten groups of each class"
    assert found["accuracy"] == (1, pytest.approx(0.025 ** (1 / 20)), 1)
    assert found["mcc"] == (1, pytest.approx(2 * 0.025 ** (1 / 10) - 1), 1)


def test_the_standard_error_of_a_mean_over_groups() -> None:
    """With equal groups log loss is a mean over groups: its spread is known without any draw."""
    probs_NK, labels_N, groups_N = patients(3, 12)
    value, low, high = grouped_intervals(probs_NK, labels_N, groups_N, draws=20_000).intervals["log_loss"]
    losses_G = -np.log(probs_NK[np.arange(48), labels_N]).reshape(12, 4).mean(axis=1)
    variances = [losses_G[k::2].var(ddof=1) for k in (0, 1)]
    error = np.sqrt(sum(variances) / 6) / 2
    freedom = sum(variances) ** 2 / sum(v**2 / 5 for v in variances)
    factor = np.exp(stats.t.ppf(0.975, freedom) * error / value)
    assert (low, high) == pytest.approx((value / factor, value * factor), rel=0.02)


def test_where_no_interval_can_be_had_there_is_a_reason() -> None:
    probs_NK, labels_N, groups_N = patients(0, 6)
    one_class = grouped_intervals(probs_NK[labels_N == 1], labels_N[labels_N == 1], groups_N[labels_N == 1])
    assert one_class.intervals["auroc"] == (None, None, None)
    assert "no image" in one_class.reasons["auroc"]
    assert one_class.intervals["accuracy"][1] is not None
    chosen_N = np.isin(groups_N, ["patient-0", "patient-1", "patient-2"])
    one_group = grouped_intervals(probs_NK[chosen_N], labels_N[chosen_N], groups_N[chosen_N])
    assert one_group.intervals["auroc"][0] is not None
    assert one_group.intervals["auroc"][1:] == (None, None)
    assert one_group.reasons["auroc"] == "one group only of class 1"
    assert one_group.bounds == {}
    blind = grouped_intervals(two_class(np.full(len(labels_N), 0.6)), labels_N, groups_N)
    assert blind.intervals["auroc"] == (0.5, None, None)
    assert blind.reasons["auroc"] == "every draw gives the same value"
    nothing = grouped_intervals(np.zeros((0, 2)), np.zeros(0, dtype=int), np.zeros(0, dtype=str))
    assert set(nothing.intervals.values()) == {(None, None, None)}
    with pytest.raises(ValueError, match="groups_N"):
        grouped_intervals(probs_NK, labels_N, groups_N[1:])


def test_a_class_that_only_a_mixed_group_has_may_be_lost_from_draws() -> None:
    probs_NK, labels_N, groups_N = patients(0, 8)
    labels_N = np.where(labels_N == 1, 0, labels_N)
    labels_N[0] = 1  # the minority of its group
    found = grouped_intervals(probs_NK, labels_N, groups_N)
    assert found.intervals["auroc"][1] is None
    assert "missing from too many draws" in found.reasons["auroc"]
    assert found.intervals["accuracy"][1] is not None


def test_more_classes_than_two() -> None:
    rng = np.random.default_rng(0)
    labels_N = np.arange(120) % 4
    probs_NK = rng.dirichlet(np.ones(4), 120) + 0.5 * np.eye(4)[labels_N]
    found = grouped_intervals(probs_NK / 1.5, labels_N, np.arange(120) // 2 * 2 + labels_N % 2)
    assert "sensitivity" not in found.intervals
    assert all(low < value < high for value, low, high in found.intervals.values())


def test_ordered_classes_have_an_interval_of_kappa() -> None:
    rng = np.random.default_rng(0)
    labels_N = np.arange(120) % 4
    probs_NK = (rng.dirichlet(np.ones(4), 120) + 0.5 * np.eye(4)[labels_N]) / 1.5
    value, low, high = grouped_intervals(
        probs_NK, labels_N, np.arange(120), draws=500, severity_K=(2, 3, 0, 1)
    ).intervals["quadratic_kappa"]
    assert value == classification_metrics(probs_NK, labels_N, (2, 3, 0, 1))["quadratic_kappa"]
    assert -1 < low < value < high < 1


def test_few_groups_are_said() -> None:
    assert "12 groups, fewer than 30" in few_groups_warning(12)
    assert few_groups_warning(30) == ""
    assert grouped_intervals(*patients(0, 12)).warning == few_groups_warning(12)


def test_intervals_by_group_hold_the_truth_and_by_slice_do_not() -> None:
    """A small version of tests/benchmarks/interval_coverage.py."""
    truth = stats.norm.cdf(1.2 / np.sqrt(2 * 1.09))
    held = np.zeros(2)
    for seed in range(60):
        probs_NK, labels_N, groups_N = patients(seed, 40, slices=8)
        for way, names_N in enumerate((groups_N, np.arange(len(labels_N)))):
            _, low, high = grouped_intervals(probs_NK, labels_N, names_N, seed, draws=200).intervals["auroc"]
            held[way] += low <= truth <= high
    by_group, by_slice = held / 60
    assert by_group >= 0.87
    assert by_slice < 0.75
