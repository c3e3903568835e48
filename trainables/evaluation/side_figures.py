"""The figures of one judged side, into a folder that has the side's name."""

from pathlib import Path

import numpy as np

from trainables.catalog import Task
from trainables.evaluation.evaluation import SideEvaluation
from trainables.evaluation.figures import EvaluationArrays, draw_most_wrong, write_figures
from trainables.evaluation.predictions import Predictions, case_digest
from trainables.evaluation.temperature import probabilities


def draw_side(
    folder: Path,
    task: Task,
    scored: SideEvaluation,
    predictions: Predictions,
    images_NMHW: np.ndarray,
    title: str,
    temperature: float | None,
) -> None:
    """Write every figure; temperature None: that of the model is in the logits already, and is not drawn apart.

    images_NMHW is uint8, a case per prediction; the images of a case are drawn beside each other.
    """
    folder.mkdir(exist_ok=True)
    arrays = EvaluationArrays(
        probs_NK=predictions.probs_NK,
        labels_N=predictions.labels_N,
        classes=task.classes,
        calibrated_probs_NK=None if temperature is None else probabilities(predictions.logits_NK, temperature),
        images_NHW=_beside(images_NMHW),
        names=[Path(row.path).name for row in predictions.rows],
    )
    about = f"{title}, {folder.name}, {scored.overall.images} images of {scored.overall.groups} groups"
    write_figures(folder, arrays, about, scored.overall.intervals)


def draw_failures(path: Path, task: Task, predictions: Predictions, images_NMHW: np.ndarray, title: str) -> None:
    """Write the surest mistakes as PNG, each under the name that its case has in tables of predictions."""
    path.parent.mkdir(exist_ok=True)
    names = [case_digest([row.sha256, row.second_sha256]) for row in predictions.rows]
    draw_most_wrong(path, _beside(images_NMHW), predictions.probs_NK, predictions.labels_N, task.classes, names, title)


def _beside(images_NMHW: np.ndarray) -> np.ndarray:
    """Return images_NHW, each as wide as the images of a case together."""
    cases, per_case, height, width = images_NMHW.shape
    return images_NMHW.transpose(0, 2, 1, 3).reshape(cases, height, per_case * width)
