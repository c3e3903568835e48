"""Images of every class with their map, true and predicted class above each: drawn at random, or the mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names, width_in
from trainables.evaluation.figures.most_wrong import surest_mistakes
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save
from trainables.explain.explained import Explained
from trainables.explain.explainers import METHODS, Explainer
from trainables.explain.panels import draw_overlay

GRID_FILE = "class_grid.png"
MISTAKES_FILE = "mistakes.png"


@dataclass(frozen=True)
class Tile:
    """An image uint8 image_HW of one class, the map of what it was taken for, on the image's grid."""

    image_HW: np.ndarray
    map_HW: np.ndarray
    true: int
    predicted: int


def write_class_grid(
    path: Path,
    explained: Explained,
    explainer: Explainer,
    chosen: Sequence[int],
    labels_N: np.ndarray,
    probs_NK: np.ndarray,
    classes: Sequence[str],
    heading: str,
) -> None:
    """Write a PNG: the chosen images, those of a class in a row; explained is the predicted class.

    Raises ExplanationError.
    """
    predicted = [int(probs_NK[n].argmax()) for n in chosen]
    found = explained.maps([explainer], chosen, predicted)[explainer.name]
    images_NHW = explained.images_NMHW[:, explainer.image]
    image_hw = (images_NHW.shape[1], images_NHW.shape[2])
    tiles = [
        Tile(images_NHW[n], found.on_image(place, image_hw), int(labels_N[n]), predicted[place])
        for place, n in enumerate(chosen)
    ]
    layer = f" at {found.layer}" if found.layer else ""
    what = f"{METHODS[found.method].title}{layer}, for the predicted class"
    save(grid_figure(tiles, classes, f"{heading}; {what}"), path)


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
    """Return the figure of `write_class_grid`: a row for each true class among the tiles."""
    rows = [[tile for tile in tiles if tile.true == k] for k in sorted({tile.true for tile in tiles})]
    columns = max(map(len, rows))
    tile_in = WIDTH_IN / columns - 0.08
    short = short_names(classes, tile_in - width_in("pred.: "))
    figure = new_figure(len(rows) * (tile_in + 2.8 * LINE_IN), heading)
    for axes_row, own in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, tile in zip(axes_row, own, strict=False):
            draw_overlay(axes, tile.image_HW, tile.map_HW)
            axes.set_title(f"true: {short[tile.true]}\npred.: {short[tile.predicted]}", fontsize=FONT_PT, pad=2)
    return figure
