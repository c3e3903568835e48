"""How the probabilities lie: apart where the model separates the classes, mixed where it does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, short_names, shortened, width_in
from trainables.evaluation.figures.style import CLASS_COLOURS, GREY, WIDTH_IN, new_figure, save, say_instead, style_axes

BINS = 20


def draw_probability_histograms(
    path: Path, probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str
) -> None:
    """Write a PNG: per true class the probabilities of class 1 (two classes) or of the true class (more)."""
    save(probability_histograms_figure(probs_NK, labels_N, classes, title), path)


def probability_histograms_figure(
    probs_NK: np.ndarray, labels_N: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """Return the figure of `draw_probability_histograms`: one panel per true class, bars add up to 1."""
    columns = 1 if len(classes) == 2 else 2
    rows = -(-len(classes) // columns)
    figure = new_figure(0.35 + rows * (1.0 if rows < 3 else 0.75), title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for unused in grid.ravel()[len(classes) :]:
        unused.set_visible(False)
        grid[-2, -1].tick_params(labelbottom=True)
    names = short_names(classes, (WIDTH_IN - 0.5) / columns - width_in(f", n = {len(labels_N)}"))
    for k, (axes, name) in enumerate(zip(grid.ravel(), names, strict=False)):
        style_axes(axes)
        probs_n = probs_NK[labels_N == k, 1 if len(classes) == 2 else k]
        axes.set_title(f"{name}, n = {len(probs_n)}", fontsize=FONT_PT, loc="left", pad=2)
        if len(probs_n) == 0:
            say_instead(axes, "no images")
            continue
        if len(classes) == 2:
            axes.axvline(0.5, color=GREY, lw=0.75, linestyle=":")
        shares_B = np.histogram(probs_n, bins=BINS, range=(0, 1))[0] / len(probs_n)
        left_B = np.arange(BINS) / BINS
        colour = CLASS_COLOURS[k % len(CLASS_COLOURS)]
        axes.bar(left_B, shares_B, width=1 / BINS, align="edge", color=colour, edgecolor="white", lw=0.3)
    grid[0, 0].set_xlim(0, 1)
    grid[0, 0].set_xticks([0, 0.5, 1], labels=["0", "0.5", "1"])
    of = shortened(classes[1], 1.4) if len(classes) == 2 else "the true class"
    figure.supxlabel(f"predicted probability of {of}", fontsize=FONT_PT)
    figure.supylabel("share of the class's images", fontsize=FONT_PT)
    return figure
