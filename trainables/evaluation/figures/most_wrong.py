"""The images that the model is surest about, and wrong: where labels, artefacts and blind spots show."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import LINE_IN, short_names, shortened, width_in
from trainables.evaluation.figures.style import WIDTH_IN, new_figure, save, say_instead, title_above

COLUMNS = 3
MOST_SHOWN = 12
TILE_IN = WIDTH_IN / COLUMNS - 0.08
PREDICTED_IN = width_in("pred.: ")


def draw_most_wrong(
    path: Path,
    images_NHW: np.ndarray,
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    title: str,
    count: int = MOST_SHOWN,
) -> None:
    """Write a PNG: the `count` misclassified images (uint8) whose wrong class has the highest probability."""
    save(most_wrong_figure(images_NHW, probs_NK, labels_N, classes, names, title, count), path)


def most_wrong_figure(
    images_NHW: np.ndarray,
    probs_NK: np.ndarray,
    labels_N: np.ndarray,
    classes: Sequence[str],
    names: Sequence[str],
    title: str,
    count: int,
) -> Figure:
    """Return the figure of `draw_most_wrong`: true class, predicted class with its probability, file name."""
    mistakes = surest_mistakes(probs_NK, labels_N)
    if len(mistakes) == 0:
        return _nothing_wrong(title, len(labels_N))
    shown = mistakes[:count]
    rows = -(-len(shown) // COLUMNS)
    height, width = images_NHW.shape[1:3]
    tile_in = TILE_IN * min(max(height / width, 0.5), 1.5)
    heading = f"{title}: the surest {len(shown)} of {len(mistakes)} mistakes in {_images(len(labels_N))}"
    figure = new_figure(rows * (tile_in + 4.6 * LINE_IN), heading)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    short = short_names(classes, TILE_IN - PREDICTED_IN)
    for axes, index in zip(grid.ravel(), shown, strict=False):
        axes.imshow(images_NHW[index], cmap="gray", vmin=0, vmax=255)
        predicted = int(probs_NK[index].argmax())
        lines = (
            f"true: {short[labels_N[index]]}",
            f"pred.: {short[predicted]}",
            f"probability {probs_NK[index, predicted]:.2f}",
            shortened(PurePosixPath(names[index]).name, TILE_IN),
        )
        title_above(axes, "\n".join(lines))
    return figure


def surest_mistakes(probs_NK: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return the indices of the misclassified images, the highest probability of the wrong class first."""
    wrong = np.flatnonzero(probs_NK.argmax(axis=1) != labels_N)
    ranked: np.ndarray = wrong[np.argsort(-probs_NK[wrong].max(axis=1, initial=0), kind="stable")]
    return ranked


def _nothing_wrong(title: str, images: int) -> Figure:
    figure = new_figure(1.0, title)
    axes = figure.add_subplot()
    axes.axis("off")
    say_instead(axes, f"no mistakes in {_images(images)}")
    return figure


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number} images"
