"""Temperature scaling: the best there is, the same decisions, and safe where nothing can be fitted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from trainables.evaluation.calibration import expected_calibration_error
from trainables.evaluation.temperature import HIGHEST, LOWEST, fit_temperature, probabilities


def log_loss(logits_NK: np.ndarray, labels_N: np.ndarray, temperature: float) -> float:
    return -log_softmax(logits_NK / temperature, axis=1)[np.arange(len(labels_N)), labels_N].mean()


@st.composite
def logits_and_labels(draw) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 20), st.integers(2, 4)))
    logits_NK = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([-40.0, -3.0, -0.5, 0.0, 0.5, 2.0, 40.0])))
    labels_N = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    return logits_NK, labels_N


@settings(deadline=None, max_examples=80)
@given(logits_and_labels())
def test_no_temperature_of_a_fine_grid_is_better(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits_NK, labels_N = case
    found = fit_temperature(logits_NK, labels_N).value
    grid = [log_loss(logits_NK, labels_N, temperature) for temperature in np.geomspace(LOWEST, HIGHEST, 300)]
    assert LOWEST <= found <= HIGHEST
    assert log_loss(logits_NK, labels_N, found) <= min(grid) + 1e-7


@settings(deadline=None)
@given(logits_and_labels(), st.floats(LOWEST, HIGHEST))
def test_every_image_keeps_its_class(case: tuple[np.ndarray, np.ndarray], temperature: float) -> None:
    logits_NK, _ = case
    before_NK, after_NK = probabilities(logits_NK), probabilities(logits_NK, temperature)
    assert (before_NK.argmax(axis=1) == after_NK.argmax(axis=1)).all()
    assert after_NK.sum(axis=1) == pytest.approx(1)
    assert probabilities(np.log(before_NK.clip(1e-300)), temperature) == pytest.approx(after_NK, abs=1e-9)


def test_the_temperature_that_was_planted_is_found_and_repairs_calibration() -> None:
    rng = np.random.default_rng(0)
    true_NK = rng.normal(size=(4000, 3)) * 2
    labels_N = (rng.random(4000)[:, None] > probabilities(true_NK).cumsum(axis=1)).sum(axis=1)
    found = fit_temperature(true_NK * 3, labels_N)  # three times as sure as it may be
    assert found.value == pytest.approx(3, rel=0.06)
    assert found.note == ""
    before = expected_calibration_error(probabilities(true_NK * 3), labels_N)
    after = expected_calibration_error(probabilities(true_NK * 3, found.value), labels_N)
    assert before > 0.1 and after < 0.03


def test_where_nothing_can_be_fitted_a_bound_or_one_and_a_word_of_it() -> None:
    separated = fit_temperature(np.array([[3.0, -3.0], [-3.0, 3.0]]), np.array([0, 1]))
    assert separated.value == pytest.approx(LOWEST) and "next to no error" in separated.note
    wrong = fit_temperature(np.array([[30.0, -30.0], [-30.0, 30.0]]), np.array([1, 0]))
    assert wrong.value == pytest.approx(HIGHEST) and "no better than chance" in wrong.note
    assert fit_temperature(np.zeros((5, 2)), np.array([0, 1, 1, 0, 1])).value == 1, "no temperature changes anything"
    empty = fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=int))
    assert empty.value == 1 and "no validation image" in empty.note
    infinite = fit_temperature(np.array([[-np.inf, 0.0], [1.0, 0.0]]), np.array([1, 0]))
    assert infinite.value == 1 and "not finite" in infinite.note


def test_sure_predictions_are_not_equal_yet() -> None:
    probs_NK = probabilities(np.array([[0, 200], [0, 300]], dtype=np.float32))
    assert probs_NK[0, 0] > probs_NK[1, 0] > 0, "single precision has 0 for both"
