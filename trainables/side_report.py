"""What a finished model says of one labelled set -> the folder that training writes: numbers, tables, figures."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trainables.catalog import Task
from trainables.data.images import UnreadableImage, decode_grey, resize_square
from trainables.data.records import Read
from trainables.evaluation.evaluation import SideEvaluation
from trainables.evaluation.evaluation_files import write_sides
from trainables.evaluation.figures.most_wrong import MOST_SHOWN, surest_mistakes
from trainables.evaluation.predictions import Predictions
from trainables.evaluation.side_figures import draw_side

GALLERY_PX = 128


def write_side_report(
    folder: Path,
    task: Task,
    about: Mapping[str, object],
    scored: SideEvaluation,
    predictions: Predictions,
    read: Read,
    title: str,
) -> None:
    """Write metrics.json (`about`, then the scores as those of test), the tables, and the figures below test/.

    The logits are logarithms of probabilities that the model's temperature is applied to: there is no number and no
    figure of what was before it.
    """
    said: dict[str, Any] = asdict(scored)
    del said["uncalibrated"]
    write_sides(folder, task, {**about, "test": said}, {"test": (scored, predictions)})
    images_NMHW = _surest_mistakes(task, predictions, read)
    draw_side(folder / "test", task, scored, predictions, images_NMHW, title, temperature=None)


def _surest_mistakes(task: Task, predictions: Predictions, read: Read) -> np.ndarray:
    """Return images_NMHW with those that the gallery shows; the others are black, and their pages take no memory."""
    images_NMHW = np.zeros((len(predictions.rows), task.images_per_case, GALLERY_PX, GALLERY_PX), dtype=np.uint8)
    for row in surest_mistakes(predictions.probs_NK, predictions.labels_N)[:MOST_SHOWN]:
        paths = (predictions.rows[row].path, predictions.rows[row].second_path)[: task.images_per_case]
        for number, path in enumerate(paths):
            with suppress(OSError, UnreadableImage):  # gone since it was judged
                images_NMHW[row, number] = resize_square(decode_grey(read(path)), GALLERY_PX)
    return images_NMHW
