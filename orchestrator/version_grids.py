"""Images of each class with their map, for a registered version that judged a labelled set."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import BadInput
from trainables.data.records import Read
from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from trainables.explain.packaged import Packaged

MOST_PER_CLASS = 12  # two rows of a page's width
SEED = 0  # of the random draw: versions that are compared show the same images


def write_version_grids(
    folder: Path,
    classifier: Path,
    predictions: Predictions,
    read: Read,
    per_class: int,
    title: str,
    warn: Callable[[Sequence[str]], Sequence[str]],
) -> str:
    """Write class_grid.png and mistakes.png into a new folder: up to `per_class` of each true class.

    The first shows random images, the second the surest mistakes, each with the map of the architecture's first
    explainer of it, for the predicted class; `warn` gives what must be said of explainers by their names. Returns why
    there are none, or nothing.
    """
    from trainables.explain.class_grid import class_grids, drawn_explainers, not_drawn, write_class_grid
    from trainables.explain.packaged import explainers_for, load_packaged

    labels_N, probs_NK = predictions.labels_N, predictions.probs_NK
    try:
        packaged = load_packaged(classifier)
        folder.mkdir()
        for grid in class_grids(probs_NK, labels_N, per_class, SEED):
            images_NMHW = _images(packaged, [predictions.rows[n] for n in grid.chosen], read)
            explained = packaged.explained(images_NMHW)
            explainers, refused = explainers_for(explained, None)
            about = labels_N[grid.chosen], probs_NK[grid.chosen], packaged.classes
            heading = f"{title}: {grid.words}"
            warnings = [*warn([one.name for one in drawn_explainers(explainers)]), *not_drawn(explained, refused)]
            numbers = range(len(images_NMHW))
            write_class_grid(folder / grid.file, explained, explainers, numbers, *about, heading, warnings)
    except ExplanationError as error:
        return str(error)
    return ""


def _images(packaged: "Packaged", rows: Sequence[SplitRow], read: Read) -> np.ndarray:
    """Return images_NMHW as the model sees them. Raises ExplanationError for one that is gone since it was judged."""
    contents = []
    for row in rows:
        try:
            contents.append([read(path) for path in (row.path, row.second_path) if path])
        except OSError as error:
            raise ExplanationError(f"{row.path}: {error.strerror or error}") from error
    answers = packaged.answers(contents)
    for row, reason in zip(rows, answers.reasons, strict=True):
        if reason:
            raise ExplanationError(f"{row.path}: {reason}")
    return answers.images_NMHW


def check_per_class(per_class: int | None, out: Path | None) -> None:
    """Raise BadInput for a grid that has no folder to go to, or no readable tiles."""
    if per_class is None:
        return
    if out is None:
        raise BadInput(f"--grid {per_class}: has nowhere to go; name a new folder with --out DIR")
    if not 1 <= per_class <= MOST_PER_CLASS:
        raise BadInput(f"--grid {per_class}: expected images of each class, 1 to {MOST_PER_CLASS}")
