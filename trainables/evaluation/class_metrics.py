"""What an average over classes hides: each class by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.metrics import confusion_matrix


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest; what is None has its reason."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    reasons: dict[str, str]  # metric that is None -> why


def per_class_metrics(probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str]) -> list[ClassMetrics]:
    """Return a record per class, in the order of classes.

    Precision is None where the class is never predicted, recall where it is never true, F1 only where it is neither;
    support counts its true images.
    """
    counts_KK = confusion_matrix(probs_NK, labels_N)
    right_K, true_K, predicted_K = np.diagonal(counts_KK), counts_KK.sum(axis=1), counts_KK.sum(axis=0)
    return [
        _one_class(name, int(right), int(true), int(predicted))
        for name, right, true, predicted in zip(classes, right_K, true_K, predicted_K, strict=True)
    ]


def _one_class(name: str, right: int, true: int, predicted: int) -> ClassMetrics:
    reasons = {}
    if not predicted:
        reasons["precision"] = "never predicted"
    if not true:
        reasons["recall"] = "no true image"
    if not predicted and not true:
        reasons["f1"] = "never predicted, no true image"
    return ClassMetrics(
        name=name,
        precision=right / predicted if predicted else None,
        recall=right / true if true else None,
        f1=2 * right / (true + predicted) if true + predicted else None,
        support=true,
        reasons=reasons,
    )
