"""Images of every class with their map, true and predicted class above each: drawn at random, or the mistakes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names, width_in, wrapped
from trainables.evaluation.figures.most_wrong import surest_mistakes
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save, title_above
from trainables.explain.display import display_maps
from trainables.explain.engine import Explanation
from trainables.explain.explained import Explained
from trainables.explain.explainers import METHODS, Explainer
from trainables.explain.localisation import is_blank, is_even
from trainables.explain.panels import draw_overlay

GRID_FILE = "class_grid.png"
MISTAKES_FILE = "mistakes.png"
GAP_IN = 0.08  # between tiles
FEWEST_COLUMNS = 2  # in half of a page's width; a name that has no room then is cut


@dataclass(frozen=True)
class ClassGrid:
    """A figure's file, the numbers of its cases class by class, and what they are."""

    file: str
    chosen: list[int]
    words: str


@dataclass(frozen=True)
class Tile:
    """An image uint8 image_HW of one class, the map of what it was taken for, on the image's grid."""

    image_HW: np.ndarray
    map_HW: np.ndarray
    true: int
    predicted: int


def class_grids(probs_NK: np.ndarray, labels_N: np.ndarray, per_class: int, seed: int) -> list[ClassGrid]:
    """Return up to `per_class` random images of each class and as many of its mistakes; nothing without mistakes."""
    grids = [
        ClassGrid(GRID_FILE, random_of_each_class(labels_N, per_class, seed), "random images of each class"),
        ClassGrid(
            MISTAKES_FILE, mistakes_of_each_class(probs_NK, labels_N, per_class), "the surest mistakes of each class"
        ),
    ]
    return [grid for grid in grids if grid.chosen]


def write_class_grid(
    path: Path,
    explained: Explained,
    explainers: Sequence[Explainer],
    chosen: Sequence[int],
    labels_N: np.ndarray,
    probs_NK: np.ndarray,
    classes: Sequence[str],
    heading: str,
    warnings: Sequence[str] = (),
) -> None:
    """Write a PNG: the chosen cases, those of a class in a row; explained is the predicted class.

    Of the explainers `drawn_explainers` are drawn, each on its own scale; `warnings` of them follow the heading.
    Raises ExplanationError.
    """
    predicted = [int(probs_NK[n].argmax()) for n in chosen]
    first = {one.image: one for one in drawn_explainers(explainers)}
    found = explained.maps(list(first.values()), chosen, predicted)
    tiles = [
        Tile(np.concatenate(list(explained.images_NMHW[n]), axis=1), maps_HW, int(labels_N[n]), predicted[place])
        for place, (n, maps_HW) in enumerate(zip(chosen, _maps_beside(explained, first, found), strict=True))
    ]
    what = " and ".join(
        f"{METHODS[one.method].title}{f' at {one.layer}' if one.layer else ''}{on_image}"
        for one, on_image in ((found[first[image].name], _named(explained, image)) for image in sorted(first))
    )
    heading = ". ".join([f"{heading}; {what}, for the predicted class", *(one.rstrip(".") for one in warnings)])
    save(grid_figure(tiles, classes, heading), path)


def drawn_explainers(explainers: Sequence[Explainer]) -> list[Explainer]:
    """Return the first explainer of each image of a case."""
    return list({one.image: one for one in reversed(explainers)}.values())


def not_drawn(explained: Explained, refused: Sequence[str]) -> list[str]:
    """Say of the maps that the architecture's record has first why they are not those that are drawn.

    `refused` are reasons that begin with an explainer's name.
    """
    first = tuple(f"{one.name}: " for one in drawn_explainers(explained.architecture.explainers))
    return [f"Not shown: {reason}" for reason in refused if reason.startswith(first)]


def _named(explained: Explained, image: int) -> str:
    names = explained.architecture.image_names
    return f" of {names[image]}" if len(names) > 1 else ""


def _maps_beside(
    explained: Explained, first: Mapping[int, Explainer], found: Mapping[str, Explanation]
) -> list[np.ndarray]:
    """Return for each case the map of its image; of several images the views beside each other, 0 without a view."""
    per_case, height, width = explained.images_NMHW.shape[1:]
    beside_NHW = np.zeros((len(next(iter(found.values())).maps_BHW), height, per_case * width), dtype=np.float32)
    for place, beside_HW in enumerate(beside_NHW):
        own = {image: found[one.name].on_image(place, (height, width)) for image, one in first.items()}
        if all(is_even(map_HW) for map_HW in own.values()):
            beside_HW[:] = 1
            continue
        for image, map_HW in own.items():
            if per_case == 1 or not is_blank(map_HW):
                shown_HW = map_HW if per_case == 1 else display_maps(map_HW[None], map_HW.shape)[0]
                beside_HW[:, image * width : (image + 1) * width] = shown_HW
    return list(beside_NHW)


def random_of_each_class(labels_N: np.ndarray, per_class: int, seed: int) -> list[int]:
    """Return up to `per_class` images of each class, class by class; no prediction has a say."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    of_classes = [np.flatnonzero(labels_N == k) for k in np.unique(labels_N)]
    return [int(n) for own in of_classes for n in sorted(rng.permutation(own)[:per_class])]


def mistakes_of_each_class(probs_NK: np.ndarray, labels_N: np.ndarray, per_class: int) -> list[int]:
    """Return the misclassified images of each class, class by class, those whose wrong class is surest first."""
    surest = surest_mistakes(probs_NK, labels_N)
    return [int(n) for k in np.unique(labels_N[surest]) for n in surest[labels_N[surest] == k][:per_class]]


def grid_figure(tiles: Sequence[Tile], classes: Sequence[str], heading: str) -> Figure:
    """Return the figure of `write_class_grid`: a row for each true class among the tiles, or several of many.

    It is as wide as a page's text where half of that has no room for the names above the tiles.
    """
    classes_there = sorted({tile.true for tile in tiles})
    most = max(sum(tile.true == k for tile in tiles) for k in classes_there)
    height, width = tiles[0].image_HW.shape
    needed_in = min(width_in("pred.: ") + max(map(width_in, classes)) + GAP_IN, WIDTH_IN / FEWEST_COLUMNS)
    whole_in = WIDTH_IN if most * needed_in <= WIDTH_IN else 2 * WIDTH_IN
    columns = math.ceil(most / math.ceil(most / int(whole_in / needed_in)))  # rows of a class are about as long
    rows = [row for k in classes_there for row in _rows_of([tile for tile in tiles if tile.true == k], columns)]
    tile_in = whole_in / columns - GAP_IN
    short = short_names(classes, tile_in - width_in("pred.: "))
    lines = wrapped(heading, whole_in - 0.1)
    figure = new_figure(0, "")
    rows_in = len(rows) * (tile_in * height / width + 2.8 * LINE_IN)
    figure.set_size_inches(whole_in, rows_in + LINE_IN * (lines.count("\n") + 1))
    figure.suptitle(lines, fontsize=FONT_PT)
    for axes_row, own in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, tile in zip(axes_row, own, strict=False):
            draw_overlay(axes, tile.image_HW, tile.map_HW)
            title_above(axes, f"true: {short[tile.true]}\npred.: {short[tile.predicted]}")
    return figure


def _rows_of(tiles: Sequence[Tile], size: int) -> list[Sequence[Tile]]:
    return [tiles[start : start + size] for start in range(0, len(tiles), size)]
