"""How many of the alarms are right, against how many cases are found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.one_vs_rest import (
    area_text,
    curve_figure,
    one_vs_rest,
    row_without_line,
)
from trainables.evaluation.figures.style import GREY, class_line, legend_below, save

Bounds = tuple[float, float]


def draw_precision_recall(
    path: Path,
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    classes: Sequence[str],
    title: str,
    interval: Bounds | None = None,
) -> None:
    """Write a PNG: the curve of class 1, or with more classes of each against the rest, in steps.

    interval is the 95 % interval of METRICS' average_precision: of class 1, or of the mean over classes.
    """
    save(precision_recall_figure(probs_NK, labels_N, classes, title, interval), path)


def precision_recall_figure(
    probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str, interval: Bounds | None
) -> Figure:
    """Return the figure of `draw_precision_recall`; the area under the steps is the average precision."""
    from sklearn import metrics as sk  # here and below, as sync loads this package for other figures

    curves = one_vs_rest(probs_NK, labels_N, classes)
    several = len(curves) > 1
    figure, axes = curve_figure(title, ("recall (sensitivity)", "precision"), len(curves) + 1)
    rows, areas = [], []
    for k, one in enumerate(curves):
        if one.reason:
            rows.append(row_without_line(f"–  {one.name}: {one.reason}"))
            continue
        precision_T, recall_T = _steps(one.positive_N, one.scores_N)
        areas.append(float(sk.average_precision_score(one.positive_N, one.scores_N)))
        chance = float(one.positive_N.mean())
        area = f"{areas[-1]:.3f} (chance {chance:.3f})" if several else area_text(areas[-1], interval)
        look = class_line(k) | {"lw": 1, "drawstyle": "steps-post", "clip_on": False}
        rows += axes.plot(recall_T, precision_T, label=f"{area}  {one.name}", **look)
        if not several:
            label = f"{chance:.3f}  chance: share of {one.name}"
            rows += axes.plot([0, 1], [chance, chance], color=GREY, lw=0.75, linestyle=":", label=label)
    if several and areas:
        rows.append(row_without_line(f"{area_text(float(np.mean(areas)), interval)}  mean of the classes"))
    legend_below(figure, rows, "average precision" + ("" if interval is None else " (95 % interval)"))
    return figure


def _steps(positive_N: np.ndarray, scores_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall where the recall changes, falling: all that counts for the average precision."""
    from sklearn import metrics as sk

    precision_T, recall_T, _ = sk.precision_recall_curve(positive_N, scores_N)
    changes_T = np.append(recall_T[:-1] != recall_T[1:], True)
    precision_T, recall_T = precision_T[changes_T], recall_T[changes_T]
    precision_T[-1] = precision_T[-2]  # scikit-learn begins every curve at precision 1, which no threshold gave
    return precision_T, recall_T
