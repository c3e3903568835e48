"""Figures as wide as a page's text: images in a row, and under them the one scale that they share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, wrapped
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, title_above
from trainables.explain.localisation import to_image_grid
from trainables.explain.panels import MOST_OPAQUE, SCALE_IN

WIDE_IN = 2 * WIDTH_IN
TEXT_IN = WIDE_IN - 0.1
BETWEEN_IN = 0.15  # what lies between two images of a row
LEAST_ASPECT, MOST_ASPECT = 0.5, 1.5  # of the room for an image, height by width


def wide_figure(height_in: float, title: str) -> Figure:
    """Return an empty figure of height_in below its title."""
    figure = new_figure(0, "")
    lines = wrapped(title, TEXT_IN)
    figure.set_size_inches(WIDE_IN, height_in + LINE_IN * (lines.count("\n") + 1))
    figure.suptitle(lines, fontsize=FONT_PT)
    return figure


def tile_height_in(image_HW: np.ndarray, width_in: float) -> float:
    """Return how high the room for an image of width_in is."""
    height, width = image_HW.shape
    aspect: float = min(max(height / width, LEAST_ASPECT), MOST_ASPECT)
    return width_in * aspect


def row_of_tiles(image_HW: np.ndarray, tiles: int, title: str) -> tuple[Figure, list[Axes], Axes]:
    """Return a figure, the axes of a row of tiles for images of this shape, and those of the scale under them."""
    tile_in = WIDE_IN / tiles - BETWEEN_IN
    heights = [tile_height_in(image_HW, tile_in), SCALE_IN]
    figure = wide_figure(sum(heights) + 5 * LINE_IN, title)
    grid = figure.add_gridspec(2, tiles, height_ratios=heights)
    return figure, [figure.add_subplot(grid[0, place]) for place in range(tiles)], figure.add_subplot(grid[1, :])


def draw_image(axes: Axes, image_HW: np.ndarray, title: str, width_in: float) -> None:
    """Draw uint8 image_HW under its title."""
    axes.axis("off")
    axes.imshow(image_HW, cmap="gray", vmin=0, vmax=255)
    title_above(axes, wrapped(title, width_in))


def lay_over(axes: Axes, map_hw: np.ndarray, image_hw: tuple[int, int], highest: float, colormap: str) -> None:
    """Draw a map, which is 0 or more, over an image; 0 is clear, `highest` the end of the scale."""
    shown_HW = np.clip(to_image_grid(map_hw, image_hw) / highest, 0, 1)
    axes.imshow(shown_HW, cmap=colormap, vmin=0, vmax=1, alpha=MOST_OPAQUE * np.sqrt(shown_HW))


def draw_scale(axes: Axes, ends: tuple[float, float], ticks: Mapping[float, str], label: str, colormap: str) -> None:
    """Fill the axes with all colours between both ends, and say what they are."""
    strip: Any = np.linspace(0, 1, 256)[None]
    axes.imshow(strip, cmap=colormap, aspect="auto", extent=(*ends, 0, 1))
    axes.set_yticks([])
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=FONT_PT)
    for at, tick in zip(ticks, axes.get_xticklabels(), strict=True):  # what stands at an end stays above its own images
        tick.set_horizontalalignment("left" if at == ends[0] else "right" if at == ends[1] else "center")
    axes.tick_params(length=2, width=0.5, pad=1)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(wrapped(label, TEXT_IN), fontsize=FONT_PT, labelpad=0)
