"""What the last layer of each of two encoders answers to: its mean map and its strongest channels."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, wrapped
from trainables.evaluation.figures.style import save, title_above, words_below
from trainables.explain.cross_look import CrossLook
from trainables.explain.panels import COLORMAP, SCALE_IN
from trainables.explain.wide_figures import (
    BETWEEN_IN,
    TEXT_IN,
    WIDE_IN,
    draw_image,
    draw_scale,
    tile_height_in,
    wide_figure,
)

STRONGEST = 6
TILES = 2 + STRONGEST


def mean_map(features_CHW: np.ndarray) -> np.ndarray:
    """Return map_hw: the mean over channels."""
    return np.asarray(features_CHW.mean(axis=0, dtype=np.float64), np.float32)


def strongest_channels(features_CHW: np.ndarray, most: int = STRONGEST) -> list[int]:
    """Return the channels of the largest mean activation, the largest first; the first of equal ones."""
    means_C = features_CHW.mean(axis=(1, 2), dtype=np.float64)
    return [int(channel) for channel in np.argsort(-means_C, kind="stable")[:most]]


def draw_features(path: Path, look: CrossLook, title: str, colormap: str = COLORMAP) -> None:
    """Write a PNG: a row for each encoder, its scale below it."""
    save(features_figure(look, title, colormap), path)


def features_figure(look: CrossLook, title: str, colormap: str = COLORMAP) -> Figure:
    """Return the figure of `draw_features`: image, channel mean, the strongest channels with their mean activation."""
    tile_in = WIDE_IN / TILES - BETWEEN_IN / 2
    tile_height = tile_height_in(look.images_2HW[0], tile_in)
    heights = [tile_height, SCALE_IN] * 2
    figure = wide_figure(2 * (tile_height + SCALE_IN + 5.5 * LINE_IN), f"{title}; features of both encoders")
    grid = figure.add_gridspec(4, TILES, height_ratios=heights)
    for modality, name in enumerate(look.names):
        row = [figure.add_subplot(grid[2 * modality, place]) for place in range(TILES)]
        features_CHW = look.features_2CHW[modality]
        draw_image(row[0], look.images_2HW[modality], name, tile_in)
        lowest, highest = min(0.0, float(features_CHW.min())), float(features_CHW.max())
        if highest == lowest:
            _leave_out(row[1:], f"{name}: all features are 0")
            continue
        # few channels answer at a place: on their scale the mean map would be dark all over
        mean_hw, channels = mean_map(features_CHW), strongest_channels(features_CHW)
        mean_ends = min(0.0, float(mean_hw.min())), float(mean_hw.max())
        _draw_map(row[1], mean_hw, "mean", mean_ends, colormap)
        _draw_ends(figure.add_subplot(grid[2 * modality + 1, 1]), mean_ends, "activation", colormap)
        for axes in row[2:]:
            axes.axis("off")
        for axes, channel in zip(row[2:], channels, strict=False):
            _draw_map(axes, features_CHW[channel], f"channel {channel}", (lowest, highest), colormap)
        strip = figure.add_subplot(grid[2 * modality + 1, 2 : 2 + len(channels)])
        _draw_ends(strip, (lowest, highest), "activation", colormap)
    words = (
        f"Last layer of each encoder: the mean of its {look.features_2CHW.shape[1]} channels, and those that answer "
        "most; above each map its mean activation, below it its scale, which is each encoder's own."
    )
    words_below(figure, wrapped(words, TEXT_IN))
    return figure


def _draw_map(axes: Axes, map_hw: np.ndarray, title: str, ends: tuple[float, float], colormap: str) -> None:
    axes.axis("off")
    axes.imshow(map_hw, cmap=colormap, vmin=ends[0], vmax=ends[1], interpolation="nearest")
    title_above(axes, f"{title}\n{map_hw.mean():.3g}")


def _draw_ends(axes: Axes, ends: tuple[float, float], label: str, colormap: str) -> None:
    draw_scale(axes, ends, {end: f"{end:.3g}" for end in ends}, label, colormap)


def _leave_out(row: list[Axes], reason: str) -> None:
    for axes in row:
        axes.axis("off")
    middle = row[len(row) // 2]
    middle.text(0.5, 0.5, reason, transform=middle.transAxes, ha="center", va="center", fontsize=FONT_PT)
