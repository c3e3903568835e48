"""Sensitivity against false alarms at every threshold."""

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


def draw_roc(
    path: Path,
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    classes: Sequence[str],
    title: str,
    interval: Bounds | None = None,
) -> None:
    """Write a PNG: the curve of class 1, or with more classes of each against the rest.

    interval is the 95 % interval of METRICS' auroc: of class 1, or of the mean over classes.
    """
    save(roc_figure(probs_NK, labels_N, classes, title, interval), path)


def roc_figure(
    probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str, interval: Bounds | None
) -> Figure:
    """Return the figure of `draw_roc`."""
    from sklearn import metrics as sk  # here, as sync loads this package for other figures

    curves = one_vs_rest(probs_NK, labels_N, classes)
    titles = ("false positive rate (1 - specificity)", "sensitivity")
    figure, axes = curve_figure(title, titles, len(curves) + (2 if len(curves) > 1 else 1))
    rows, areas = [], []
    for k, one in enumerate(curves):
        if one.reason:
            rows.append(row_without_line(f"–  {one.name}: {one.reason}"))
            continue
        false_alarms_T, sensitivity_T, _ = sk.roc_curve(one.positive_N, one.scores_N)
        areas.append(float(sk.roc_auc_score(one.positive_N, one.scores_N)))
        label = f"{area_text(areas[-1], interval if len(curves) == 1 else None)}  {one.name}"
        rows += axes.plot(false_alarms_T, sensitivity_T, lw=1, label=label, clip_on=False, **class_line(k))
    if len(curves) > 1 and areas:
        rows.append(row_without_line(f"{area_text(float(np.mean(areas)), interval)}  mean of the classes"))
    rows += axes.plot([0, 1], [0, 1], color=GREY, lw=0.75, linestyle=":", label="0.500  chance")
    legend_below(figure, rows, "AUROC" if interval is None else "AUROC (95 % interval)")
    return figure
