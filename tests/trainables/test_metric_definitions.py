"""Each metric against scikit-learn on random and degenerate inputs, and against what a hand can compute."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from trainables.catalog import TASKS
from trainables.evaluation.calibration import expected_calibration_error
from trainables.evaluation.class_metrics import per_class_metrics
from trainables.evaluation.metrics import classification_metrics, confusion_matrix
from trainables.evaluation.operating_point import scores_at_threshold, threshold_at_specificity
from trainables.evaluation.weighted_metrics import weighted_metrics


def two_class(p_N) -> np.ndarray:
    return np.stack([1 - np.asarray(p_N), np.asarray(p_N)], axis=1)


def rows(num_classes: int) -> list[tuple[float, ...]]:
    """Return rows of probabilities that sum to 1 exactly, so that ties are ties whoever normalises."""
    parts = [[1.0], [0.5, 0.5], [0.75, 0.25], [0.5, 0.25, 0.25], [0.25] * 4]
    padded = [part + [0.0] * (num_classes - len(part)) for part in parts if len(part) <= num_classes]
    return sorted({row for part in padded for row in itertools.permutations(part)})


@st.composite
def evaluations(draw) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties, sure ones among them, and labels in which classes may be absent."""
    num_classes = draw(st.integers(2, 4))
    case = st.tuples(st.sampled_from(rows(num_classes)), st.integers(0, num_classes - 1))
    cases = draw(st.lists(case, min_size=1, max_size=25))
    return np.array([row for row, _ in cases]), np.array([label for _, label in cases])


def by_scikit_learn(probs_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, float | None]:
    num_classes = probs_NK.shape[1]
    classes, present = list(range(num_classes)), sorted(set(labels_N.tolist()))
    predicted_N = probs_NK.argmax(axis=1)
    f1 = sk.f1_score(labels_N, predicted_N, labels=present, average="macro", zero_division=0)
    scores = {
        "accuracy": sk.accuracy_score(labels_N, predicted_N),
        "macro_f1": f1,
        "log_loss": sk.log_loss(labels_N, probs_NK, labels=classes),
        "brier": sk.brier_score_loss(labels_N, probs_NK, labels=classes),
    }
    recalls = sk.recall_score(labels_N, predicted_N, labels=classes, average=None, zero_division=np.nan)
    if num_classes == 2:
        scores |= {"specificity": recalls[0], "sensitivity": recalls[1]}
    if len(present) > 1:
        columns = [1] if num_classes == 2 else present
        ones_NK = np.eye(num_classes, dtype=int)[labels_N]
        scores["mcc"] = sk.matthews_corrcoef(labels_N, predicted_N)
        scores["balanced_accuracy"] = np.nanmean(recalls)
        scores["auroc"] = np.mean([sk.roc_auc_score(ones_NK[:, k], probs_NK[:, k]) for k in columns])
        scores["average_precision"] = np.mean(
            [sk.average_precision_score(ones_NK[:, k], probs_NK[:, k]) for k in columns]
        )
    return {name: None if np.isnan(value) else float(value) for name, value in scores.items()}


@settings(deadline=None, max_examples=60)
@given(evaluations())
def test_every_definition_is_scikit_learns(evaluation: tuple[np.ndarray, np.ndarray]) -> None:
    scores = classification_metrics(*evaluation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = by_scikit_learn(*evaluation)
    for name, value in scores.items():
        if not name.startswith("ece"):
            assert value == pytest.approx(expected.get(name), abs=1e-9), name


@settings(deadline=None, max_examples=60)
@given(evaluations(), st.integers(0, 1000))
def test_a_weight_is_how_often_an_image_counts(evaluation: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    probs_NK, labels_N = evaluation
    weights_N = np.random.default_rng(seed).integers(0, 4, len(labels_N))
    weighted = weighted_metrics(probs_NK, labels_N, weights_N[None])
    repeated = np.repeat(np.arange(len(labels_N)), weights_N)
    scores = classification_metrics(probs_NK[repeated], labels_N[repeated])
    for name, values in weighted.items():
        assert values[0] == pytest.approx(np.nan if scores[name] is None else scores[name], abs=1e-9, nan_ok=True), name


@settings(deadline=None, max_examples=60)
@given(evaluations(), st.integers(0, 1000))
def test_the_order_of_images_does_not_matter(evaluation: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    probs_NK, labels_N = evaluation
    shuffled = np.random.default_rng(seed).permutation(len(labels_N))
    scores = classification_metrics(probs_NK, labels_N)
    for name, value in classification_metrics(probs_NK[shuffled], labels_N[shuffled]).items():
        assert value == pytest.approx(scores[name], abs=1e-9), name


@settings(deadline=None, max_examples=60)
@given(evaluations(), st.randoms(use_true_random=False))
def test_quadratic_kappa_is_scikit_learns_on_ranks(evaluation: tuple[np.ndarray, np.ndarray], random) -> None:
    probs_NK, labels_N = evaluation
    severity_K = random.sample(range(probs_NK.shape[1]), probs_NK.shape[1])
    ranks = np.array(severity_K)
    every = list(range(len(ranks)))  # left out, scikit-learn takes distances between the classes present only
    kappa = classification_metrics(probs_NK, labels_N, severity_K)["quadratic_kappa"]
    if len(set(labels_N.tolist())) == 1:
        assert kappa is None, "it would be 0 whatever is predicted"
    else:
        predicted_N = ranks[probs_NK.argmax(axis=1)]
        expected = sk.cohen_kappa_score(ranks[labels_N], predicted_N, labels=every, weights="quadratic")
        assert kappa == pytest.approx(expected, abs=1e-9)


def test_quadratic_kappa_follows_severity_not_the_index() -> None:
    labels_N = np.array([0, 1, 2, 2, 3, 3])
    probs_NK = np.eye(4)[[0, 1, 2, 3, 3, 3]]  # one "non" (2) taken for "very mild" (3)
    severity_K = TASKS["alzheimer"].severity_K
    assert severity_K == (2, 3, 0, 1), "mild, moderate, non, very mild"
    near = classification_metrics(probs_NK, labels_N, severity_K)["quadratic_kappa"]
    far = classification_metrics(np.eye(4)[[0, 1, 2, 1, 3, 3]], labels_N, severity_K)["quadratic_kappa"]
    assert near > far, "taken for moderate is worse"
    assert classification_metrics(probs_NK, labels_N)["quadratic_kappa"] is None, "no order, no kappa"


@settings(deadline=None)
@given(evaluations())
def test_confusions_are_scikit_learns(evaluation: tuple[np.ndarray, np.ndarray]) -> None:
    probs_NK, labels_N = evaluation
    every = list(range(probs_NK.shape[1]))
    expected_KK = sk.confusion_matrix(labels_N, probs_NK.argmax(axis=1), labels=every)
    assert confusion_matrix(probs_NK, labels_N).tolist() == expected_KK.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sk.classification_report(
            labels_N, probs_NK.argmax(axis=1), labels=every, output_dict=True, zero_division=np.nan
        )
    for k, one in enumerate(per_class_metrics(probs_NK, labels_N, [str(k) for k in every])):
        for name, value in (("precision", one.precision), ("recall", one.recall), ("f1-score", one.f1)):
            assert theirs[str(k)][name] == pytest.approx(np.nan if value is None else value, nan_ok=True), name


def test_a_hand_computed_confusion() -> None:
    labels_N = np.array([1] * 4 + [0] * 6)
    scores = classification_metrics(two_class([0.9, 0.8, 0.7, 0.2] + [0.1] * 5 + [0.6]), labels_N)
    assert scores["sensitivity"] == pytest.approx(3 / 4)
    assert scores["specificity"] == pytest.approx(5 / 6)
    assert scores["mcc"] == pytest.approx((3 * 5 - 1 * 1) / np.sqrt(4 * 4 * 6 * 6))
    assert scores["brier"] == pytest.approx((0.01 + 0.04 + 0.09 + 0.64 + 5 * 0.01 + 0.36) / 10)


def test_what_the_data_cannot_give_is_none_never_zero() -> None:
    scores = classification_metrics(two_class([0.2, 0.7]), np.array([1, 1]))
    needs_both = {"auroc", "average_precision", "balanced_accuracy", "mcc", "specificity", "quadratic_kappa"}
    assert {name for name, value in scores.items() if value is None} == needs_both
    assert set(classification_metrics(np.zeros((0, 3)), np.zeros(0, dtype=int)).values()) == {None}


@pytest.mark.parametrize("labels", [[0, 2], [0, -1], [0]])
def test_labels_without_a_column_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels_N"):
        classification_metrics(two_class([0.2, 0.7]), np.array(labels))


def test_nan_is_no_probability() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        classification_metrics(np.array([[np.nan, 0.5]]), np.array([0]))


def test_calibration_error_by_hand() -> None:
    probs_NK = two_class([0.9] * 10 + [0.6] * 10)
    labels_N = np.array([1] * 9 + [0] + [1] * 3 + [0] * 7)  # 0.9 is meant; 0.6 is right in 3 of 10
    assert expected_calibration_error(probs_NK, labels_N) == pytest.approx(0.5 * 0.3)
    assert expected_calibration_error(probs_NK, labels_N, equal_mass=True) == pytest.approx(0.5 * 0.3)
    sure = two_class([1.0, 0.0, 1.0, 1.0])
    assert expected_calibration_error(sure, np.array([1, 0, 0, 0])) == pytest.approx(0.5)
    assert expected_calibration_error(sure, np.array([1, 0, 1, 1])) == 0


def test_bins_of_equal_mass_see_what_one_wide_bin_averages_away() -> None:
    confidence_N = np.repeat([0.942, 0.992], 500)
    right_N = np.r_[np.ones(500), np.arange(500) % 10 > 0]  # 1.0 where 0.942 is claimed, 0.9 where 0.992 is
    probs_NK = two_class(confidence_N)
    assert expected_calibration_error(probs_NK, right_N.astype(int)) == pytest.approx(abs(0.95 - 0.967))
    adaptive = expected_calibration_error(probs_NK, right_N.astype(int), equal_mass=True)
    assert adaptive == pytest.approx((0.058 + 0.092) / 2)


def test_each_class_by_itself() -> None:
    probs_NK = np.eye(4)[[0, 0, 1, 1, 1, 2]]
    a, b, c, d = per_class_metrics(probs_NK, np.array([0, 1, 1, 1, 0, 1]), ("a", "b", "c", "d"))
    assert (a.precision, a.recall, a.f1, a.support) == (0.5, 0.5, 0.5, 2)
    assert (b.precision, b.recall, b.support) == (pytest.approx(2 / 3), 0.5, 4)
    assert (c.precision, c.recall, c.f1, c.support) == (0, None, 0, 0), "predicted, never true"
    assert c.reasons == {"recall": "no true image"}
    assert (d.precision, d.recall, d.f1, d.support) == (None, None, None, 0)
    assert d.reasons["precision"] == "never predicted" and set(d.reasons) == {"precision", "recall", "f1"}


def test_a_threshold_from_validation_keeps_its_specificity() -> None:
    probs_N = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.35, 0.45, 0.9])
    labels_N = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    threshold = threshold_at_specificity(probs_N, labels_N, 0.8)
    assert threshold == 0.45, "the lowest that leaves four of five negatives below"
    reached = scores_at_threshold(probs_N, labels_N, np.arange(8), threshold)
    for interval, hits, of in ((reached.sensitivity, 2, 3), (reached.specificity, 4, 5)):
        exact = stats.binomtest(hits, of).proportion_ci(method="exact")
        assert interval == pytest.approx((hits / of, exact.low, exact.high)), "every group is one image"
    lowest = threshold_at_specificity(probs_N, labels_N, 0)
    assert scores_at_threshold(probs_N, labels_N, np.arange(8), lowest).sensitivity[0] == 1
    assert threshold_at_specificity(probs_N, np.ones(8), 0.8) is None
    nobody = scores_at_threshold(probs_N, np.zeros(8, dtype=int), np.arange(8), 0.5)
    assert nobody.sensitivity == (None, None, None)
    assert "no image" in nobody.reasons["sensitivity"]
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_at_specificity(probs_N, labels_N, 95)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30),
    st.floats(0, 1),
)
def test_the_stated_specificity_is_reached(cases: list[tuple[float, bool]], specificity: float) -> None:
    probs_N, labels_N = np.array([p for p, _ in cases]), np.array([int(label) for _, label in cases])
    threshold = threshold_at_specificity(probs_N, labels_N, specificity)
    if threshold is None:
        assert labels_N.all()
    else:
        assert (probs_N[labels_N == 0] < threshold).mean() >= specificity - 1e-9
