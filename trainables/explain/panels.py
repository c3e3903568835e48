"""An image beside the maps that explain its answer, as a figure as wide as a page's text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainables.errors import ExplanationError
from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, wrapped
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save, say_instead, title_above, words_below
from trainables.explain.display import display_maps
from trainables.explain.localisation import is_blank

COLORMAP = "inferno"  # even steps of lightness, which print in grey and reach colour-blind eyes
MOST_OPAQUE = 0.7
TILES_PER_WIDTH = 2
SCALE_IN = 0.08


@dataclass(frozen=True)
class Panel:
    """What is drawn of one case: its images uint8 HW, raw maps by the name of their explainer, what is said below.

    `image_of` gives the number of the image that a map lies on, where that is not the first; `named` the images' names.
    `fused` names two of the maps and the weight of the first: their views are shown added. `exponent` is that of the
    class in the dementia project's display, 1 for none.
    """

    images: Sequence[np.ndarray]
    maps: Mapping[str, np.ndarray]
    title: str
    notes: Sequence[str] = ()
    fused: tuple[str, str, float] | None = None
    exponent: float = 1.0
    image_of: Mapping[str, int] = field(default_factory=dict)
    named: Sequence[str] = ("image",)


def draw_panel(path: Path, panel: Panel, colormap: str = COLORMAP) -> None:
    """Write a PNG. Raises ExplanationError for a colour map that matplotlib does not know."""
    save(panel_figure(panel, colormap), path)


def check_colormap(name: str) -> None:
    """Raise ExplanationError for a colour map that matplotlib does not know."""
    if name not in colormaps:
        near = get_close_matches(name, list(colormaps), n=3)
        meant = f"; did you mean {' or '.join(near)}?" if near else "; any of matplotlib's by name"
        raise ExplanationError(f"no colour map {name!r}{meant}")


def panel_figure(panel: Panel, colormap: str = COLORMAP) -> Figure:
    """Return the figure of `draw_panel`: in a row each image, a tile per map, the fused view; a scale; the notes."""
    check_colormap(colormap)
    views = _views(panel)
    of_images = [
        {name: view for name, view in views.items() if panel.image_of.get(name, 0) == number}
        for number in range(len(panel.images))
    ]
    tiles = 1 + max(map(len, of_images))
    width_in = WIDTH_IN * (1 if tiles <= TILES_PER_WIDTH else 2)
    tile_in = width_in / tiles - 0.15
    notes = [wrapped(note, width_in - 0.1) for note in panel.notes]
    title = wrapped(panel.title, width_in - 0.1)
    heights = [tile_in * min(max(height / width, 0.5), 1.5) for height, width in (one.shape for one in panel.images)]
    figure = new_figure(0, "")
    lines = 5 + 2 * len(heights) + title.count("\n")
    figure.set_size_inches(width_in, sum(heights) + SCALE_IN + LINE_IN * lines)
    figure.suptitle(title, fontsize=FONT_PT)
    grid = figure.add_gridspec(len(heights) + 1, tiles, height_ratios=[*heights, SCALE_IN])
    for row, (image_HW, own) in enumerate(zip(panel.images, of_images, strict=True)):
        _draw_image(figure.add_subplot(grid[row, 0]), image_HW, panel.named[row], tile_in)
        for place, (name, shown_HW) in enumerate(own.items(), start=1):
            axes = figure.add_subplot(grid[row, place])
            _draw_image(axes, image_HW, name, tile_in)
            _lay_over(axes, shown_HW, colormap, panel.maps.get(name))
    _draw_scale(figure.add_subplot(grid[-1, :]), colormap)
    if notes:
        words_below(figure, "\n".join(notes))
    return figure


def draw_overlay(axes: Axes, image_HW: np.ndarray, map_HW: np.ndarray, colormap: str = COLORMAP) -> None:
    """Draw uint8 image_HW with a raw map of its size over it, or why there is none to see."""
    axes.imshow(image_HW, cmap="gray", vmin=0, vmax=255)
    blank = is_blank(map_HW)
    _lay_over(axes, None if blank else display_maps(map_HW[None], map_HW.shape)[0], colormap, map_HW)


def _lay_over(axes: Axes, shown_HW: np.ndarray | None, colormap: str, raw_hw: np.ndarray | None) -> None:
    if shown_HW is None:
        say_instead(axes, _blank_words(raw_hw))
        axes.texts[-1].set_color("white")
    else:
        axes.imshow(shown_HW, cmap=colormap, vmin=0, vmax=1, alpha=MOST_OPAQUE * np.sqrt(shown_HW))


def _blank_words(map_hw: np.ndarray | None) -> str:
    """Return why there is no view; of the fused one, which is no map, where neither has one."""
    return "the same\neverywhere" if map_hw is not None and map_hw.max() > 0 else "no positive\nevidence"


def _views(panel: Panel) -> dict[str, np.ndarray | None]:
    """Return what is shown of each map, None of one without positive evidence; then the fused view."""
    shown: dict[str, np.ndarray | None] = {}
    for name, map_hw in panel.maps.items():
        height, width = panel.images[panel.image_of.get(name, 0)].shape
        blank = is_blank(map_hw)
        shown[name] = None if blank else display_maps(map_hw[None], (height, width), [panel.exponent])[0]
    if panel.fused is not None:
        first, second, weight = panel.fused
        nothing_HW = np.zeros(panel.images[0].shape)
        one, other = (nothing_HW if view is None else view for view in (shown[first], shown[second]))
        fused_HW = weight * one + (1 - weight) * other
        name = f"fused: {weight:g} {first} + {1 - weight:g} {second}"
        shown[name] = fused_HW if fused_HW.any() else None
    return shown


def _draw_image(axes: Axes, image_HW: np.ndarray, title: str, tile_in: float) -> None:
    axes.axis("off")
    axes.imshow(image_HW, cmap="gray", vmin=0, vmax=255)
    title_above(axes, wrapped(title, tile_in))


def _draw_scale(axes: Axes, colormap: str) -> None:
    strip: Any = np.linspace(0, 1, 256)[None]
    axes.imshow(strip, cmap=colormap, aspect="auto", extent=(0, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, 1], ["least", "most"], fontsize=FONT_PT)
    axes.tick_params(length=0, pad=1)
    axes.set_xlabel("evidence, each map on its own scale", fontsize=FONT_PT, labelpad=0)
