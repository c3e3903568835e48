"""Some images, scored: every metric with its 95 % interval, or in words why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainables.evaluation.intervals import grouped_intervals
from trainables.evaluation.metrics import (
    ORDERED_METRICS,
    TWO_CLASS_METRICS,
    classification_metrics,
    confusion_matrix,
)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All of a side, one modality of it, or what of it is leak-free; what is None has its reason, never 0."""

    images: int
    groups: int
    metrics: dict[str, float | None]
    reasons: dict[str, str]  # metric that is None -> why
    intervals: dict[str, tuple[float, float]]  # 95 %, low and high, by group
    no_interval: dict[str, str]  # metric that has a value and no interval -> why
    warning: str  # of too few groups
    confusion: list[list[int]]  # rows are true classes, columns predicted ones


def score_images(
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    groups_N: np.ndarray,
    classes: Sequence[str],
    severity_K: Sequence[int] = (),
) -> Scores:
    """Return what these images say; groups_N names the group of each. Raises ValueError as `grouped_intervals`."""
    metrics = classification_metrics(probs_NK, labels_N, severity_K)
    found = grouped_intervals(probs_NK, labels_N, groups_N, severity_K=severity_K)
    no_interval = {"ece": "draws inflate it", "ece_adaptive": "draws inflate it", **found.reasons}
    return Scores(
        images=len(labels_N),
        groups=found.groups,
        metrics=metrics,
        reasons=missing_reasons(metrics, labels_N, classes, severity_K),
        intervals=found.bounds,
        no_interval={name: reason for name, reason in no_interval.items() if metrics[name] is not None},
        warning=found.warning,
        confusion=confusion_matrix(probs_NK, labels_N).tolist(),
    )


def missing_reasons(
    metrics: Mapping[str, float | None], labels_N: np.ndarray, classes: Sequence[str], severity_K: Sequence[int] = ()
) -> dict[str, str]:
    """Return why each metric that is None is None."""
    present = [classes[k] for k in np.unique(labels_N)]
    of_these = f"one class only: {present[0]}" if present else "no image"
    reasons = {name: of_these for name, value in metrics.items() if value is None}
    if len(classes) != 2:
        reasons |= {name: f"it is of two classes, here are {len(classes)}" for name in TWO_CLASS_METRICS}
    if not severity_K:
        reasons |= {name: "the classes have no order" for name in ORDERED_METRICS}
    return reasons
