"""What ROC and precision-recall curves share: which class against which, areas in a legend below the axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names
from trainables.evaluation.figures.style import new_figure, style_axes

SQUARE_IN = 2.45
NAME_IN = 1.2


@dataclass(frozen=True)
class OneClass:
    """A class against all others; `reason` says why it has no curve, empty where it has one."""

    name: str
    scores_N: np.ndarray
    positive_N: np.ndarray
    reason: str


def one_vs_rest(probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str]) -> list[OneClass]:
    """Return class 1 alone of two classes, every class of more; names fit into a legend."""
    columns = [1] if len(classes) == 2 else list(range(len(classes)))
    names = short_names(classes, NAME_IN)
    return [OneClass(names[k], probs_NK[:, k], labels_N == k, _reason(labels_N == k)) for k in columns]


def curve_figure(title: str, axis_titles: tuple[str, str], legend_rows: int) -> tuple[Figure, Axes]:
    """Return a square from 0 to 1 in both directions, with room for a legend below."""
    figure = new_figure(SQUARE_IN + 0.35 + LINE_IN * (legend_rows + 2.5), title)
    axes = figure.add_subplot()
    style_axes(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ticks = np.linspace(0, 1, 6)
    axes.set_xticks(ticks, labels=[f"{tick:.1f}" for tick in ticks])
    axes.set_yticks(ticks, labels=[f"{tick:.1f}" for tick in ticks])
    axes.set_xlabel(axis_titles[0], fontsize=FONT_PT)
    axes.set_ylabel(axis_titles[1], fontsize=FONT_PT)
    return figure, axes


def row_without_line(label: str) -> Line2D:
    """Return a row of a legend that only says something."""
    return Line2D([], [], linestyle="none", label=label)


def area_text(area: float, interval: tuple[float, float] | None) -> str:
    """Return an area with its interval, where there is one."""
    return f"{area:.3f}" if interval is None else f"{area:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def _reason(positive_N: np.ndarray) -> str:
    if not positive_N.any():
        return "no images of it"
    return "no images of other classes" if positive_N.all() else ""
