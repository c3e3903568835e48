"""The attention between both images of a side's cases, or of cases that a user names: tables, figures, raw maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainables.catalog import Task
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import Predictions, case_digest
from trainables.explain.case_panels import Case
from trainables.explain.class_grid import random_of_each_class
from trainables.explain.cross_attention_files import write_cross_attention
from trainables.explain.cross_look import CrossCase
from trainables.explain.cross_looks import cross_looks
from trainables.explain.explained import Explained
from trainables.explain.panels import COLORMAP
from trainables.explain.settings import ExplanationSettings

FOLDER = "cross_attention"
MOST_DRAWN = 12  # five figures each


def write_side_cross(
    folder: Path,
    task: Task,
    explained: Explained,
    predictions: Predictions,
    panels: Sequence[Case],
    settings: ExplanationSettings,
) -> None:
    """Write what `write_cross_attention` writes below `folder`: figures of cases with panels, tables over others too.

    Means of classes are over cases drawn at random. Nothing is written for an architecture without attention between
    images. Raises ExplanationError.
    """
    if explained.architecture.cross is None:
        return
    files = {case.number: case for case in panels[: settings.cross_figures]}
    labels_N, predicted_N = predictions.labels_N, predictions.probs_NK.argmax(axis=1)
    counted = random_of_each_class(labels_N, settings.counted, settings.seed)
    numbers = sorted({*files, *counted})
    cases = [
        CrossCase(
            name=case_digest([predictions.rows[n].sha256, predictions.rows[n].second_sha256]),
            true=int(labels_N[n]),
            predicted=int(predicted_N[n]),
            title=files[n].title if n in files else "",
            file=files[n].name if n in files else "",
            at_random=n in counted,
        )
        for n in numbers
    ]
    drawn = [place for place, n in enumerate(numbers) if n in files]
    write_cross_attention(folder / FOLDER, cross_looks(explained, numbers), cases, task.classes, drawn)


def write_asked_cross(
    folder: Path,
    explained: Explained,
    panels: Sequence[Case],
    probs_NK: np.ndarray,
    classes: Sequence[str],
    colormap: str = COLORMAP,
) -> str:
    """Write the same of cases whose true class nobody says; return why it is not there.

    Figures and raw weights are of the first `MOST_DRAWN`.
    """
    if explained.architecture.cross is None:
        return ""
    numbers = [case.number for case in panels]
    cases = [CrossCase(case.name, None, int(probs_NK[case.number].argmax()), case.title, case.name) for case in panels]
    drawn = range(min(MOST_DRAWN, len(cases)))
    try:
        write_cross_attention(folder / FOLDER, cross_looks(explained, numbers), cases, classes, drawn, colormap)
    except ExplanationError as error:
        return f"attention between images: {error}"
    return ""


def drawn_note(explained: Explained, num_cases: int) -> list[str]:
    """Say of which of these cases `write_asked_cross` has figures, where not of all."""
    if explained.architecture.cross is None or num_cases <= MOST_DRAWN:
        return []
    return [f"figures and raw weights of attention between images: of the first {MOST_DRAWN} cases alone"]
