import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainables.evaluation.figures import draw_confusion_matrix
from trainables.evaluation.metrics import (
    METRICS,
    ORDERED_METRICS,
    TWO_CLASS_METRICS,
    classification_metrics,
    confusion_matrix,
    is_better,
)


def two_class(p_N) -> np.ndarray:
    return np.stack([1 - np.asarray(p_N), np.asarray(p_N)], axis=1)


def test_worked_example() -> None:
    scores = classification_metrics(two_class([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    assert scores["auroc"] == pytest.approx(0.75)
    assert scores["accuracy"] == pytest.approx(0.75)
    assert scores["average_precision"] == pytest.approx(0.8333, abs=1e-4)
    assert scores["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.6, 0.35, 0.8])))
    assert set(scores) == set(METRICS)


def test_a_class_that_is_absent_gives_none_never_zero() -> None:
    scores = classification_metrics(two_class([0.2, 0.7]), np.array([1, 1]))
    assert scores["auroc"] is None
    assert scores["average_precision"] is None
    assert scores["accuracy"] == 0.5


def test_rows_must_be_probabilities() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        classification_metrics(np.array([[0.5, 0.2]]), np.array([0]))


@given(hnp.arrays(np.float64, (12, 3), elements=st.floats(0.01, 1)), st.integers(0, 1000))
def test_scores_stay_in_their_range(raw_NK: np.ndarray, seed: int) -> None:
    probs_NK = raw_NK / raw_NK.sum(axis=1, keepdims=True)
    labels_N = np.random.default_rng(seed).permutation(np.arange(12) % 3)
    scores = classification_metrics(probs_NK, labels_N)
    ranges = {"log_loss": (0, np.inf), "brier": (0, 2), "mcc": (-1, 1)}
    for name in set(METRICS) - set(TWO_CLASS_METRICS) - set(ORDERED_METRICS):
        low, high = ranges.get(name, (0, 1))
        assert low <= scores[name] <= high, name
    assert scores["sensitivity"] is None and scores["specificity"] is None, "of which class?"
    assert confusion_matrix(probs_NK, labels_N).sum(axis=1).tolist() == [4, 4, 4]


def test_ties_go_to_the_lower_log_loss_and_none_comes_last() -> None:
    good, better = {"auroc": 0.9, "log_loss": 0.5}, {"auroc": 0.9, "log_loss": 0.4}
    assert is_better(better, good, "auroc")
    assert not is_better(good, better, "auroc")
    assert not is_better({"auroc": None, "log_loss": 0.1}, good, "auroc")
    assert is_better({"log_loss": 0.3}, {"log_loss": 0.4}, "log_loss")


def test_a_confusion_matrix_is_drawn(tmp_path) -> None:
    from PIL import Image

    path = tmp_path / "matrix.png"
    draw_confusion_matrix(path, np.array([[5, 0], [3, 0]]), ("normal", "stroke"), "validation")
    with Image.open(path) as image:
        assert min(image.size) > 300
        assert len(set(image.convert("L").get_flattened_data())) > 20, "an empty page has few greys"
