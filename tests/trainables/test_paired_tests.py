import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from trainables.evaluation.metrics import classification_metrics
from trainables.evaluation.paired_tests import compare_models, delong, holm, mcnemar


def two_classes(scores_N: np.ndarray) -> np.ndarray:
    probs_N = 1 / (1 + np.exp(-scores_N))
    return np.stack([1 - probs_N, probs_N], axis=1)


def models(images: int, gain: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels_N = np.arange(images) % 2
    shared_N = rng.normal(size=images)
    first_N = labels_N * (1 + gain) + shared_N + rng.normal(size=images)
    second_N = labels_N * 1.0 + shared_N + rng.normal(size=images)
    return two_classes(first_N), two_classes(second_N), labels_N


def test_delong_finds_the_difference_and_the_variance_that_pairs_of_images_give() -> None:
    first_NK, second_NK, labels_N = models(60, 0.5, 0)
    found = delong(first_NK[:, 1], second_NK[:, 1], labels_N)
    expected = roc_auc_score(labels_N, first_NK[:, 1]) - roc_auc_score(labels_N, second_NK[:, 1])
    assert found.value == pytest.approx(expected, abs=1e-12)
    standard_error = (found.high - found.low) / 2 / stats.norm.ppf(0.975)

    def placements(scores_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # by definition, pair by pair
        positive_P, negative_Q = scores_N[labels_N == 1], scores_N[labels_N == 0]
        above_PQ = (positive_P[:, None] > negative_Q) + 0.5 * (positive_P[:, None] == negative_Q)
        return above_PQ.mean(axis=1), above_PQ.mean(axis=0)

    (p1, q1), (p2, q2) = placements(first_NK[:, 1]), placements(second_NK[:, 1])
    variance = (p1 - p2).var(ddof=1) / 30 + (q1 - q2).var(ddof=1) / 30
    assert standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_equal_models_are_called_different_as_often_as_the_level_says() -> None:
    p_values = np.array([compare_models(*models(80, 0.0, seed), np.arange(80), "auroc").p_value for seed in range(600)])
    assert 0.03 < (p_values < 0.05).mean() < 0.075


def test_images_of_one_patient_are_no_independent_evidence() -> None:
    first_NK, second_NK, labels_N = models(24, 0.8, 3)
    alone = compare_models(first_NK, second_NK, labels_N, np.arange(24), "auroc")
    tenfold = [np.repeat(part, 10, axis=0) for part in (first_NK, second_NK, labels_N, np.arange(24))]
    grouped = compare_models(*tenfold, "auroc")
    assert (alone.method, grouped.method) == ("DeLong", "draws of groups")
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low > 0.8 * (alone.high - alone.low)


@pytest.mark.parametrize("metric", ["log_loss", "macro_f1", "brier", "balanced_accuracy"])
def test_a_difference_is_positive_where_the_first_is_better(metric: str) -> None:
    first_NK, second_NK, labels_N = models(200, 3.0, 1)
    found = compare_models(first_NK, second_NK, labels_N, np.arange(200), metric)
    scores = [classification_metrics(probs_NK, labels_N)[metric] for probs_NK in (first_NK, second_NK)]
    assert found.value == pytest.approx(abs(scores[0] - scores[1]))
    assert 0 < found.low < found.value < found.high and found.p_value < 0.01


def test_several_classes_are_compared_by_draws() -> None:
    rng = np.random.default_rng(0)
    labels_N = np.arange(90) % 3
    first_NK, second_NK = (np.eye(3)[labels_N] * sure + rng.dirichlet(np.ones(3), 90) for sure in (2.0, 0.1))
    first_NK, second_NK = (probs_NK / probs_NK.sum(axis=1, keepdims=True) for probs_NK in (first_NK, second_NK))
    found = compare_models(first_NK, second_NK, labels_N, np.arange(90), "auroc")
    assert found.method == "draws of groups" and found.low > 0


def test_errors_of_independent_images_go_through_mcnemar() -> None:
    right_N, wrong_N = np.ones(29, dtype=bool), np.ones(29, dtype=bool)
    right_N[20:], wrong_N[:20] = False, False
    assert mcnemar(right_N, wrong_N) == pytest.approx(stats.binomtest(20, 29).pvalue)
    assert mcnemar(right_N, right_N) == 1.0
    first_NK, second_NK, labels_N = models(100, 2.0, 0)
    found = compare_models(first_NK, second_NK, labels_N, np.arange(100), "accuracy")
    rights = (probs_NK.argmax(axis=1) == labels_N for probs_NK in (first_NK, second_NK))
    assert (found.method, found.p_value) == ("exact McNemar", mcnemar(*rights))


def test_the_same_model_twice_differs_by_no_more_than_so_few_groups_can_hide() -> None:
    probs_NK, _, labels_N = models(40, 1.0, 0)
    for groups_N, groups in ((np.arange(40), 20), (np.arange(40) // 4, 10)):
        found = compare_models(probs_NK, probs_NK, labels_N, groups_N, "auroc")
        hidden = stats.binomtest(0, groups).proportion_ci(0.95, "exact").high
        assert (found.value, found.p_value) == (0.0, 1.0)
        assert (found.low, found.high) == (pytest.approx(-hidden), pytest.approx(hidden))


@pytest.mark.parametrize(("rare", "others", "sure"), [(2, 2, False), (2, 50, False), (6, 6, True)])
def test_a_difference_that_does_not_vary_is_as_sure_as_the_rarest_class_makes_it(
    rare: int, others: int, sure: bool
) -> None:
    labels_N = np.repeat([1, 0], [rare, others])
    right_NK, constant_NK = two_classes(labels_N * 8.0 - 4), two_classes(np.zeros(rare + others))
    for metric, value in (("auroc", 0.5), ("sensitivity", 1.0)):
        found = compare_models(right_NK, constant_NK, labels_N, np.arange(rare + others), metric)
        assert found.value == value
        assert found.p_value == pytest.approx(stats.binomtest(rare, rare).pvalue)
        assert (found.p_value < 0.05) == sure


def test_a_difference_without_end_that_does_not_vary_has_no_interval() -> None:
    labels_N = np.arange(20) % 2
    surer_NK, less_NK = two_classes(labels_N * 8.0 - 4), two_classes(labels_N * 2.0 - 1)
    found = compare_models(surer_NK, less_NK, labels_N, np.arange(20), "log_loss")
    assert found.value > 0 and (found.low, found.p_value) == (None, None)
    assert found.reason == "log_loss differs by the same in all groups"


def test_what_cannot_be_told_has_a_reason() -> None:
    first_NK, second_NK, labels_N = models(40, 1.0, 0)
    one_group = compare_models(first_NK, second_NK, labels_N, labels_N.astype(str), "auroc")
    assert one_group.p_value is None and one_group.reason == "one group only of a class"
    one_class = compare_models(first_NK, second_NK, np.zeros(40, dtype=int), np.arange(40), "auroc")
    assert one_class.value is None and "no image" in one_class.reason
    assert "not compared" in compare_models(first_NK, second_NK, labels_N, np.arange(40), "ece").reason


def test_holm_adjusts_for_how_many_were_tried() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}
