"""Images of each class with their map, for a registered version that judged a labelled set."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from trainables.data.records import Read
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from orchestrator.tracking.registry import FoundModel

MOST_PER_CLASS = 12  # tiles in a row that a page of print still shows
SEED = 0  # of the random draw: versions that are compared show the same images


def write_version_grids(folder: Path, found: "FoundModel", predictions: Predictions, read: Read, per_class: int) -> str:
    """Write class_grid.png and mistakes.png into a new folder: up to `per_class` of each true class.

    The first shows random images, the second the surest mistakes, each with the map of the architecture's first
    explainer of it, for the predicted class. Returns why there are none, or nothing. Raises OSError where an image
    cannot be read any more, and what MLflow raises.
    """
    from orchestrator.tracking.downloads import CLASSIFIER, download_version
    from trainables.explain.class_grid import class_grids, write_class_grid
    from trainables.explain.packaged import explainers_for, load_packaged

    named = f"{found.name} version {found.version}"
    labels_N, probs_NK = predictions.labels_N, predictions.probs_NK
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        download_version(found, Path(scratch))
        try:
            packaged = load_packaged(Path(scratch) / CLASSIFIER)
            for grid in class_grids(probs_NK, labels_N, per_class, SEED):
                rows = [predictions.rows[n] for n in grid.chosen]
                paths = [[row.path, row.second_path] if row.second_path else [row.path] for row in rows]
                answers = packaged.answers([[read(path) for path in case] for case in paths])
                explained = packaged.explained(answers.images_NMHW)
                explainers, _ = explainers_for(explained, None)
                about = labels_N[grid.chosen], probs_NK[grid.chosen], packaged.classes
                heading = f"{named}: {grid.words}"
                write_class_grid(folder / grid.file, explained, explainers, range(len(rows)), *about, heading)
        except ExplanationError as error:
            return f"version {found.version}: no grid, {error}"
    return ""


def check_per_class(per_class: int | None, out: Path | None) -> None:
    """Raise BadInput for a grid that has no folder to go to, or no readable tiles."""
    if per_class is None:
        return
    if out is None:
        raise BadInput(f"--grid {per_class}: has nowhere to go; name a new folder with --out DIR")
    if not 1 <= per_class <= MOST_PER_CLASS:
        raise BadInput(f"--grid {per_class}: expected images of each class, 1 to {MOST_PER_CLASS}")
