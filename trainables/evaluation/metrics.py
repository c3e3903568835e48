"""Probabilities and labels in, numbers out. A metric that the data cannot give is None, never 0."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from trainables.evaluation.calibration import expected_calibration_error
from trainables.evaluation.weighted_metrics import weighted_metrics

Direction = Literal["max", "min"]

METRICS: Mapping[str, Direction] = {
    "auroc": "max",
    "average_precision": "max",
    "accuracy": "max",
    "balanced_accuracy": "max",
    "macro_f1": "max",
    "mcc": "max",
    "log_loss": "min",
    "brier": "min",
    "ece": "min",
    "ece_adaptive": "min",
    "sensitivity": "max",
    "specificity": "max",
    "quadratic_kappa": "max",
}
TWO_CLASS_METRICS = ("sensitivity", "specificity")  # None where there are more classes
ORDERED_METRICS = ("quadratic_kappa",)  # None where the classes have no order


def classification_metrics(
    probs_NK: np.ndarray, labels_N: np.ndarray, severity_K: Sequence[int] = ()
) -> dict[str, float | None]:
    """Return every metric of METRICS.

    AUROC and average precision: of class 1 for two classes, macro one-vs-rest over the classes present for more, as
    are balanced accuracy and macro F1. Sensitivity and specificity: class 1 is positive, at argmax. Brier: 0 to 1 for
    two classes, 0 to 2 for more. Quadratic kappa: on severity_K, the rank of each class, where they have an order.
    What needs two classes is None where one is present, for scikit-learn answers NaN; `missing_reasons` says why.
    Raises ValueError as `checked_probabilities`.
    """
    probs_NK = checked_probabilities(probs_NK, labels_N)
    found = weighted_metrics(probs_NK, labels_N, np.ones((1, len(labels_N))), severity_K)
    scores: dict[str, float | None] = {name: _number(found[name][0]) for name in METRICS if name in found}
    scores["ece"] = expected_calibration_error(probs_NK, labels_N)
    scores["ece_adaptive"] = expected_calibration_error(probs_NK, labels_N, equal_mass=True)
    return {name: scores.get(name) for name in METRICS}


def checked_probabilities(probs_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return probs_NK in double precision, rows summing to 1. Raises ValueError where they do not nearly, or labels_N
    has another length or a class that probs_NK has no column for.
    """
    if len(probs_NK) != len(labels_N) or (
        len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < probs_NK.shape[1]
    ):
        raise ValueError("labels_N must name a column of probs_NK for each of its rows")
    sums_N1 = probs_NK.sum(axis=1, keepdims=True, dtype=np.float64)
    if not np.allclose(sums_N1, 1, atol=1e-4) or (probs_NK < 0).any():
        raise ValueError("every row of probs_NK must sum to 1 and hold no negative number")
    checked_NK: np.ndarray = probs_NK.astype(np.float64) / sums_N1
    return checked_NK


def confusion_matrix(probs_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return counts_KK: rows are true classes, columns predicted ones; zeros without images."""
    num_classes = probs_NK.shape[1]
    cell_N = labels_N * num_classes + probs_NK.argmax(axis=1)
    return np.bincount(cell_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def is_better(scores: Mapping[str, float | None], best: Mapping[str, float | None] | None, metric: str) -> bool:
    """Tell whether `scores` beats `best` on the metric; ties go to the lower log loss."""
    return best is None or rank_key(scores, metric) > rank_key(best, metric)


def rank_key(scores: Mapping[str, float | None], metric: str) -> tuple[float, float]:
    """Return what scores are sorted by, higher is better: the metric, then the lower log loss; None comes last."""
    value, log_loss = scores.get(metric), scores.get("log_loss")
    signed = -np.inf if value is None else (value if METRICS[metric] == "max" else -value)
    return float(signed), -np.inf if log_loss is None else -log_loss


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
