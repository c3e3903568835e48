"""All figures of one evaluation, into one folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.evaluation.figures.classification_report import draw_classification_report
from trainables.evaluation.figures.confusion_matrix import draw_confusion_matrix
from trainables.evaluation.figures.most_wrong import draw_most_wrong
from trainables.evaluation.figures.precision_recall import draw_precision_recall
from trainables.evaluation.figures.probability_histograms import draw_probability_histograms
from trainables.evaluation.figures.reliability import draw_reliability
from trainables.evaluation.figures.roc import draw_roc
from trainables.evaluation.metrics import checked_probabilities, confusion_matrix


@dataclass(frozen=True)
class EvaluationArrays:
    """What was predicted for which images; calibrated: after temperature scaling; images are uint8.

    Raises ValueError without images, where two of them do not belong together, or as `checked_probabilities`.
    """

    probs_NK: np.ndarray
    labels_N: np.ndarray
    classes: Sequence[str]
    calibrated_probs_NK: np.ndarray | None
    images_NHW: np.ndarray | None
    names: Sequence[str]

    def __post_init__(self) -> None:
        if len(self.labels_N) == 0:
            raise ValueError("an evaluation of no images has no figures")
        checked_probabilities(self.probs_NK, self.labels_N)
        if self.calibrated_probs_NK is not None:
            checked_probabilities(self.calibrated_probs_NK, self.labels_N)
        if len(self.classes) != self.probs_NK.shape[1]:
            raise ValueError(f"{len(self.classes)} classes for {self.probs_NK.shape[1]} columns of probs_NK")
        for what, given in (("names", self.names), ("images", self.images_NHW)):
            if given is not None and len(given) != len(self.labels_N):
                raise ValueError(f"{len(given)} {what} for {len(self.labels_N)} rows of probs_NK")


def write_figures(
    folder: Path, evaluated: EvaluationArrays, title: str, intervals: Mapping[str, tuple[float, float]]
) -> list[Path]:
    """Write every figure as PNG into folder, which is there; return their paths. No images: no gallery.

    intervals: metric -> low and high of its 95 % interval (`GroupedIntervals.bounds`), for those that have one.
    """
    probs_NK, labels_N, classes = evaluated.probs_NK, evaluated.labels_N, evaluated.classes
    counts_KK = confusion_matrix(probs_NK, labels_N)
    auroc, precision = intervals.get("auroc"), intervals.get("average_precision")
    draw_confusion_matrix(folder / "confusion_matrix.png", counts_KK, classes, title)
    draw_roc(folder / "roc.png", probs_NK, labels_N, classes, title, auroc)
    draw_precision_recall(folder / "precision_recall.png", probs_NK, labels_N, classes, title, precision)
    draw_reliability(folder / "reliability.png", probs_NK, labels_N, evaluated.calibrated_probs_NK, title)
    draw_probability_histograms(folder / "probability_histograms.png", probs_NK, labels_N, classes, title)
    draw_classification_report(folder / "classification_report.png", probs_NK, labels_N, classes, title)
    written = ["confusion_matrix", "roc", "precision_recall", "reliability", "probability_histograms"]
    written.append("classification_report")
    if evaluated.images_NHW is not None:
        path = folder / "most_wrong.png"
        draw_most_wrong(path, evaluated.images_NHW, probs_NK, labels_N, classes, evaluated.names, title)
        written.append("most_wrong")
    return [folder / f"{name}.png" for name in written]
