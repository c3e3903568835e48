"""Figures of an evaluation, drawn from arrays; colour-blind-safe, labelled, readable in print."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw_confusion_matrix(path: Path, counts_KK: np.ndarray, classes: Sequence[str], title: str) -> None:
    """Write a PNG: counts and the share of each true class, rows true, columns predicted."""
    shares_KK = counts_KK / np.maximum(counts_KK.sum(axis=1, keepdims=True), 1)
    side_in = 2.2 + 0.7 * len(classes)
    figure = Figure(figsize=(side_in + 0.8, side_in), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares_KK, cmap="Blues", vmin=0, vmax=1)
    for true in range(len(classes)):
        for predicted in range(len(classes)):
            share = shares_KK[true, predicted]
            axes.text(
                predicted,
                true,
                f"{counts_KK[true, predicted]}\n{share:.0%}",
                ha="center",
                va="center",
                color="white" if share > 0.5 else "black",
            )
    ticks = range(len(classes))
    axes.set_xticks(ticks, labels=list(classes))
    axes.set_yticks(ticks, labels=list(classes), rotation=90, va="center")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046)
    figure.savefig(path)
