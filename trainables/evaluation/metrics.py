"""Probabilities and labels in, numbers out. A metric that the data cannot give is None, never 0."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from sklearn import metrics as sk

Direction = Literal["max", "min"]

METRICS: Mapping[str, Direction] = {
    "auroc": "max",
    "average_precision": "max",
    "accuracy": "max",
    "balanced_accuracy": "max",
    "macro_f1": "max",
    "log_loss": "min",
}


def classification_metrics(probs_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, float | None]:
    """Return every metric of METRICS.

    AUROC and average precision: of class 1 for two classes, macro one-vs-rest over the classes present for more, as
    are balanced accuracy and macro F1; None when fewer than two classes are present, where scikit-learn answers NaN.
    Raises ValueError if a row of probs_NK does not sum to 1.
    """
    if not np.allclose(probs_NK.sum(axis=1), 1, atol=1e-4):
        raise ValueError("every row of probs_NK must sum to 1")
    num_classes = probs_NK.shape[1]
    probs_NK = probs_NK.astype(np.float64) / probs_NK.sum(axis=1, keepdims=True, dtype=np.float64)
    predicted_N = probs_NK.argmax(axis=1)
    classes = list(range(num_classes))
    present = np.unique(labels_N).tolist()
    scores: dict[str, float | None] = {
        "accuracy": float(sk.accuracy_score(labels_N, predicted_N)),
        "balanced_accuracy": None,
        "macro_f1": float(sk.f1_score(labels_N, predicted_N, labels=present, average="macro", zero_division=0)),
        "log_loss": float(sk.log_loss(labels_N, probs_NK, labels=classes)),
        "auroc": None,
        "average_precision": None,
    }
    if len(present) > 1:
        one_hot_NK = np.eye(num_classes, dtype=int)[labels_N]
        columns = [1] if num_classes == 2 else present
        scores["balanced_accuracy"] = float(
            sk.recall_score(labels_N, predicted_N, labels=present, average="macro", zero_division=0)
        )
        scores["auroc"] = float(np.mean([sk.roc_auc_score(one_hot_NK[:, k], probs_NK[:, k]) for k in columns]))
        scores["average_precision"] = float(
            np.mean([sk.average_precision_score(one_hot_NK[:, k], probs_NK[:, k]) for k in columns])
        )
    return scores


def confusion_matrix(probs_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return counts_KK: rows are true classes, columns predicted ones."""
    classes = np.arange(probs_NK.shape[1])
    return np.asarray(sk.confusion_matrix(labels_N, probs_NK.argmax(axis=1), labels=classes))


def is_better(scores: Mapping[str, float | None], best: Mapping[str, float | None] | None, metric: str) -> bool:
    """Tell whether `scores` beats `best` on the metric; ties go to the lower log loss."""
    return best is None or rank_key(scores, metric) > rank_key(best, metric)


def rank_key(scores: Mapping[str, float | None], metric: str) -> tuple[float, float]:
    """Return what scores are sorted by, higher is better: the metric, then the lower log loss; None comes last."""
    value, log_loss = scores.get(metric), scores.get("log_loss")
    signed = -np.inf if value is None else (value if METRICS[metric] == "max" else -value)
    return float(signed), -np.inf if log_loss is None else -log_loss
