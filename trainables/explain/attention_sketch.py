"""Which place looks at which, as lines between two images: the few that stand out, none where attention is even."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, shortened, wrapped
from trainables.evaluation.figures.style import CLASS_COLOURS, save, words_below
from trainables.explain.cross_look import CrossLook
from trainables.explain.wide_figures import BETWEEN_IN, TEXT_IN, WIDE_IN, tile_height_in, wide_figure

QUERIES = 6
KEYS = 3
LEAST_SHARES = 2  # even shares 1/N: below it a line would say that a place stands out which does not
COLOURS = CLASS_COLOURS[:QUERIES]  # their seventh, black, is lost on images
GAP_FRACTION = 0.1  # of an image's width, between both
LINE_PT = 1.0
NAME_IN = 0.8


@dataclass(frozen=True)
class SketchLine:
    """A query's patch, a key's patch (row-major), the weight between them, and that by the query's largest weight."""

    query: int
    key: int
    weight: float
    alpha: float


@dataclass(frozen=True)
class Sketch:
    """The lines of one direction, those of a query together, and how many were too weak to be drawn."""

    lines: tuple[SketchLine, ...]
    not_drawn: int


def sketch_lines(attention_HQK: np.ndarray, num_queries: int = QUERIES, num_keys: int = KEYS) -> Sketch:
    """Return the lines of the queries whose attention is most concentrated, each to the keys that it looks at most.

    Weights are means over heads. The most concentrated queries are those with the largest weight to any one key, the
    largest first: what looks everywhere has no line to draw. A line below 2/N, twice the even share of N keys, is
    counted only.
    """
    weights_QK = attention_HQK.mean(axis=0, dtype=np.float64)
    least = LEAST_SHARES / weights_QK.shape[1]
    queries = np.argsort(-weights_QK.max(axis=1), kind="stable")[:num_queries]
    asked = [
        SketchLine(int(query), int(key), float(weights_QK[query, key]), float(weights_QK[query, key] / top))
        for query, top in ((query, weights_QK[query].max()) for query in queries)
        for key in np.argsort(-weights_QK[query], kind="stable")[:num_keys]
    ]
    lines = tuple(line for line in asked if line.weight >= least)
    return Sketch(lines, len(asked) - len(lines))


def draw_sketch(path: Path, look: CrossLook, title: str) -> None:
    """Write a PNG: for each direction the image of the queries, that of the keys, and lines across."""
    save(sketch_figure(look, title), path)


def sketch_figure(look: CrossLook, title: str) -> Figure:
    """Return the figure of `draw_sketch`."""
    image_in = (WIDE_IN / 2 - BETWEEN_IN) / (2 + GAP_FRACTION)
    height_in = tile_height_in(look.images_2HW[0], image_in) + 2.2 * LINE_IN
    figure = wide_figure(height_in, f"{title}; which places look at which")
    told = []
    for direction, axes in enumerate(figure.subplots(1, 2)):
        sketch = sketch_lines(look.attention_2HQK[direction])
        _draw_direction(axes, look, direction, sketch.lines)
        told.append(f"{look.directions[direction]}: {len(sketch.lines)} lines drawn, {sketch.not_drawn} not")
    words = (
        f"The {QUERIES} query patches whose attention is most concentrated, a colour each, and {KEYS} keys of each; "
        f"mean over {look.attention_2HQK.shape[1]} heads; opacity is weight by the query's largest weight. Not drawn: "
        f"lines below twice the even share, 2/N = {LEAST_SHARES / look.num_places:.4f}."
    )
    words_below(figure, f"{wrapped(words, TEXT_IN)}\n{wrapped('; '.join(told), TEXT_IN)}.")
    return figure


def _draw_direction(axes: Axes, look: CrossLook, direction: int, lines: Sequence[SketchLine]) -> None:
    """Draw both images into one axes, in pixels of the first, so that lines can go across."""
    queries_HW, keys_HW = look.images_2HW[direction], look.images_2HW[1 - direction]
    height, width = queries_HW.shape
    away_px = width * (1 + GAP_FRACTION)
    axes.axis("off")
    for modality, image_HW, left_px, what in (
        (direction, queries_HW, 0.0, "queries"),
        (1 - direction, keys_HW, away_px, "keys"),
    ):
        axes.imshow(image_HW, cmap="gray", vmin=0, vmax=255, extent=(left_px, left_px + width, height, 0))
        axes.text(left_px + width / 2, -0.02 * height, f"{shortened(look.names[modality], NAME_IN)}: {what}",
                  ha="center", va="bottom", fontsize=FONT_PT)  # fmt: skip
    axes.set_xlim(0, away_px + width)
    axes.set_ylim(height, 0)
    if not lines:
        words = "attention is even: no line is above 2/N"
        axes.text((away_px + width) / 2, 1.04 * height, words, ha="center", va="top", fontsize=FONT_PT)
    places_px = _Places(height / look.grid[0], width / look.grid[1], look.grid[1])
    queries = list(dict.fromkeys(line.query for line in lines))
    for line in reversed(lines):  # the most concentrated last, on top
        colour = COLOURS[queries.index(line.query)]
        _outline(axes, places_px, line.query, 0, colour, 1)
        _outline(axes, places_px, line.key, away_px, colour, line.alpha)
        (x0, y0), (x1, y1) = places_px.centre(line.query), places_px.centre(line.key)
        axes.plot([x0, x1 + away_px], [y0, y1], color=colour, alpha=line.alpha, linewidth=LINE_PT)


@dataclass(frozen=True)
class _Places:
    """Where patches lie in an image, in pixels."""

    height_px: float
    width_px: float
    columns: int

    def corner(self, place: int) -> tuple[float, float]:
        """Return x and y of the upper left corner."""
        row, column = divmod(place, self.columns)
        return column * self.width_px, row * self.height_px

    def centre(self, place: int) -> tuple[float, float]:
        """Return x and y of the centre."""
        x_px, y_px = self.corner(place)
        return x_px + self.width_px / 2, y_px + self.height_px / 2


def _outline(axes: Axes, places_px: _Places, place: int, left_px: float, colour: str, alpha: float) -> None:
    x_px, y_px = places_px.corner(place)
    size = places_px.width_px, places_px.height_px
    axes.add_patch(
        Rectangle((x_px + left_px, y_px), *size, facecolor="none", edgecolor=colour, alpha=alpha, linewidth=LINE_PT)
    )
