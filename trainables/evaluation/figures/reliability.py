"""Whether a confidence means what it says, before and after temperature scaling."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.evaluation.calibration import ECE_BINS, expected_calibration_error
from trainables.evaluation.figures.labels import FONT_PT
from trainables.evaluation.figures.style import BLUE, GREY, SKY, new_figure, save, say_instead, style_axes, title_above


def draw_reliability(
    path: Path, probs_NK: np.ndarray, labels_N: np.ndarray, calibrated_probs_NK: np.ndarray | None, title: str
) -> None:
    """Write a PNG: accuracy over mean confidence in the bins of ECE, and how many images are how sure.

    calibrated_probs_NK are those after temperature scaling; None leaves out the second panel. Guo et al. 2017.
    """
    save(reliability_figure(probs_NK, labels_N, calibrated_probs_NK, title), path)


def reliability_figure(
    probs_NK: np.ndarray, labels_N: np.ndarray, calibrated_probs_NK: np.ndarray | None, title: str
) -> Figure:
    """Return the figure of `draw_reliability`; the scale begins with the bin of the lowest possible confidence."""
    panels = [("", probs_NK)]
    if calibrated_probs_NK is not None:
        panels = [("before scaling\n", probs_NK), ("after scaling\n", calibrated_probs_NK)]
    figure = new_figure(2.5, title)
    grid = figure.subplots(2, len(panels), height_ratios=[3, 1], sharex=True, sharey="row", squeeze=False)
    for (upper, lower), (name, panel_probs_NK) in zip(grid.T, panels, strict=True):
        style_axes(upper)
        style_axes(lower)
        _draw_panel(upper, lower, panel_probs_NK, labels_N)
        ece = expected_calibration_error(panel_probs_NK, labels_N)
        title_above(upper, name + ("ECE –" if ece is None else f"ECE {ece:.3f}"), away_pt=5)
    lowest = np.floor(ECE_BINS / probs_NK.shape[1]) / ECE_BINS
    ticks = [0.5, 0.75, 1] if probs_NK.shape[1] == 2 else [0.25, 0.5, 0.75, 1]
    grid[0, 0].set(xlim=(lowest, 1), ylim=(0, 1), yticks=[0, 0.25, 0.5, 0.75, 1])
    grid[0, 0].set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    grid[0, 0].set_ylabel("accuracy", fontsize=FONT_PT)
    grid[1, 0].set_ylabel("share of\nimages", fontsize=FONT_PT)
    figure.supxlabel("confidence (probability of the predicted class)", fontsize=FONT_PT)
    return figure


def bins_of_confidence(probs_NK: np.ndarray, labels_N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean confidence, accuracy (both NaN in an empty bin) and number of images, shape ECE_BINS each."""
    confidence_N = probs_NK.max(axis=1)
    bin_N = np.searchsorted(np.linspace(0, 1, ECE_BINS + 1)[1:-1], confidence_N, side="right")
    count_B = np.bincount(bin_N, minlength=ECE_BINS)
    weights = (confidence_N, (probs_NK.argmax(axis=1) == labels_N).astype(float))
    sums = (np.bincount(bin_N, weights=weight_N, minlength=ECE_BINS) for weight_N in weights)
    confidence_B, accuracy_B = (np.where(count_B > 0, sum_B / np.maximum(count_B, 1), np.nan) for sum_B in sums)
    return confidence_B, accuracy_B, count_B


def _draw_panel(upper: Axes, lower: Axes, probs_NK: np.ndarray, labels_N: np.ndarray) -> None:
    upper.plot([0, 1], [0, 1], color=GREY, lw=0.75, linestyle=":")
    if len(labels_N) == 0:
        say_instead(upper, "there are\nno images")
        return
    confidence_B, accuracy_B, count_B = bins_of_confidence(probs_NK, labels_N)
    filled_B = count_B > 0
    look: dict[str, Any] = {"color": BLUE, "lw": 1, "marker": "o", "markersize": 3, "clip_on": False, "zorder": 3}
    upper.plot(confidence_B[filled_B], accuracy_B[filled_B], **look)
    left_B = np.arange(ECE_BINS) / ECE_BINS
    lower.bar(left_B, count_B / len(labels_N), width=1 / ECE_BINS, align="edge", color=SKY, edgecolor="white", lw=0.3)
