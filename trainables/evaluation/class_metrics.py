"""What an average over classes hides: each class by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.metrics import confusion_matrix


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest; None where nothing was predicted (precision) or nothing is true (recall)."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def per_class_metrics(probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str]) -> list[ClassMetrics]:
    """Return a record per class, in the order of classes.

    F1 is None only where the class is neither true nor predicted anywhere; support counts its true images.
    """
    counts_KK = confusion_matrix(probs_NK, labels_N)
    right_K, true_K, predicted_K = np.diagonal(counts_KK), counts_KK.sum(axis=1), counts_KK.sum(axis=0)
    return [
        ClassMetrics(
            name=name,
            precision=_share(int(right), int(predicted)),
            recall=_share(int(right), int(true)),
            f1=_share(2 * int(right), int(true + predicted)),
            support=int(true),
        )
        for name, right, true, predicted in zip(classes, right_K, true_K, predicted_K, strict=True)
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
