"""Which class is taken for which."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names, width_in
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save, style_axes

MANY_CLASSES = 6  # from here on, cells are too narrow for a percent sign


def draw_confusion_matrix(path: Path, counts_KK: np.ndarray, classes: Sequence[str], title: str) -> None:
    """Write a PNG: counts and the share of each true class, rows true, columns predicted."""
    save(confusion_matrix_figure(counts_KK, classes, title), path)


def confusion_matrix_figure(counts_KK: np.ndarray, classes: Sequence[str], title: str) -> Figure:
    """Return the figure of `draw_confusion_matrix`; colour is the share of the true class."""
    num_classes = len(classes)
    names = short_names(classes, 0.65 if num_classes > MANY_CLASSES else 0.9)
    longest_in = max(width_in(name) for name in names)
    cell_in = (WIDTH_IN - 0.4 - longest_in) / num_classes
    upright = longest_in > 0.92 * cell_in
    below_in = longest_in if upright else LINE_IN
    figure = new_figure(num_classes * max(2.4 * LINE_IN, min(cell_in, 0.7)) + below_in + 3.2 * LINE_IN, title)
    axes = figure.add_subplot()
    style_axes(axes)
    _draw_cells(axes, counts_KK, cell_in)
    ticks = range(num_classes)
    axes.set_xticks(ticks, labels=names, rotation=90 if upright else 0)
    axes.set_yticks(ticks, labels=names)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class\n(in a cell: images, and % of the true class)", fontsize=FONT_PT)
    axes.set_ylabel("true class", fontsize=FONT_PT)
    return figure


def _draw_cells(axes: Axes, counts_KK: np.ndarray, cell_in: float) -> None:
    of_K1 = counts_KK.sum(axis=1, keepdims=True)
    shares_KK = counts_KK / np.maximum(of_K1, 1)
    axes.imshow(shares_KK, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    percent = "" if len(counts_KK) > MANY_CLASSES else "%"
    for (true, predicted), share in np.ndenumerate(shares_KK):
        count = _count(int(counts_KK[true, predicted]), cell_in)
        colour = "white" if share > 0.5 else "black"
        text = f"{count}\n{100 * share:.0f}{percent}" if of_K1[true] else count
        axes.text(predicted, true, text, ha="center", va="center", fontsize=FONT_PT, color=colour)


def _count(count: int, most_in: float) -> str:
    return str(count) if width_in(str(count)) <= most_in else f"{count / 1000:.0f}k"
