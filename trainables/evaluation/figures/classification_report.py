"""Precision, recall and F1 of each class as a table that can be printed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.evaluation.class_metrics import per_class_metrics
from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names
from trainables.evaluation.figures.style import BLACK, WIDTH_IN, new_figure, save

HEADER = ("class", "precision", "recall", "F1", "support")
RIGHT_EDGES_IN = (0.05, 1.7, 2.15, 2.6, 3.1)  # the first column: its left edge
ROW_IN = 1.35 * LINE_IN
NOTES = ["support: images of the class", "macro: mean over the classes that have images"]
DASH_NOTE = "–: never predicted (precision), no images (recall)"


def draw_classification_report(
    path: Path, probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str
) -> None:
    """Write a PNG: a row per class and their macro mean; what is undefined is a dash."""
    save(classification_report_figure(probs_NK, labels_N, classes, title), path)


def classification_report_figure(
    probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Return the figure of `draw_classification_report`."""
    rows = report_rows(probs_NK, labels_N, classes)
    dashes = any("–" in row[1:] for row in rows)
    notes = [*NOTES, DASH_NOTE] if dashes else NOTES
    height_in = ROW_IN * (len(rows) + len(notes) + 2)
    figure = new_figure(height_in, title)
    figure.set_layout_engine("none")
    top = height_in / figure.get_figheight()
    figure.suptitle(figure.get_suptitle(), fontsize=FONT_PT, y=1 - 0.04 / figure.get_figheight(), va="top")
    axes = figure.add_axes((0, 0, 1, top))
    axes.set(xlim=(0, WIDTH_IN), ylim=(height_in, 0))
    axes.axis("off")
    for line, cells in enumerate([HEADER, *rows]):
        _write_row(axes, (line + 1) * ROW_IN, cells)
    for rule, width_pt in ((0.5, 0.8), (1.5, 0.5), (len(rows) + 0.5, 0.5), (len(rows) + 1.5, 0.8)):
        axes.plot([0.05, WIDTH_IN - 0.05], [rule * ROW_IN] * 2, color=BLACK, lw=width_pt)
    for line, note in enumerate(notes):
        axes.text(0.05, (len(rows) + 2 + line) * ROW_IN, note, fontsize=FONT_PT, va="center")
    return figure


def report_rows(probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the table's cells: a row per class, the last the mean over the classes that have images.

    A mean over a class without precision is a dash too, for leaving the class out would flatter the model.
    """
    records = per_class_metrics(probs_NK, labels_N, classes)
    present = [record for record in records if record.support]
    names = short_names(classes, RIGHT_EDGES_IN[1] - 0.55)
    rows = [
        (name, _number(record.precision), _number(record.recall), _number(record.f1), str(record.support))
        for name, record in zip(names, records, strict=True)
    ]
    macro = (
        _mean([record.precision for record in present]),
        _mean([record.recall for record in present]),
        _mean([record.f1 for record in present]),
    )
    return [*rows, ("macro", *(_number(mean) for mean in macro), str(len(labels_N)))]


def _write_row(axes: Axes, y_in: float, cells: Sequence[str]) -> None:
    for column, (x_in, cell) in enumerate(zip(RIGHT_EDGES_IN, cells, strict=True)):
        axes.text(x_in, y_in, cell, ha="right" if column else "left", va="center", fontsize=FONT_PT)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; a class that is never predicted enters with 0, as in the table and scikit-learn."""
    return sum(value or 0.0 for value in values) / len(values) if values else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
