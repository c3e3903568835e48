"""Which places of an image the other image's places look at, drawn over it."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import wrapped
from trainables.evaluation.figures.style import save, words_below
from trainables.explain.cross_look import CrossLook
from trainables.explain.panels import COLORMAP
from trainables.explain.wide_figures import TEXT_IN, draw_image, draw_scale, lay_over, row_of_tiles

TILES = 4
LEAST_END = 2.0  # even shares: a scale that ended at the highest place would make much of attention that is even
MOST_FOR_ZERO = 40.0  # even shares at the scale's end, up to which there is room for both 0 and 1 on it


def received_maps(look: CrossLook) -> np.ndarray:
    """Return maps_2hw: what each key's patch receives per direction, mean over heads and queries, in even shares 1/N.

    1 everywhere is attention that is even; a map sums to N. The first lies on the second image, the second on the
    first.
    """
    received_2K = look.attention_2HQK.mean(axis=(1, 2), dtype=np.float64) * look.num_places
    return np.asarray(received_2K.reshape(2, *look.grid), np.float32)


def draw_received(path: Path, look: CrossLook, title: str, colormap: str = COLORMAP) -> None:
    """Write a PNG: each image, and beside it where the other one looks."""
    save(received_figure(look, title, colormap), path)


def received_figure(look: CrossLook, title: str, colormap: str = COLORMAP) -> Figure:
    """Return the figure of `draw_received`: both maps on one scale from 0."""
    maps_2hw = received_maps(look)
    image_hw = (look.images_2HW.shape[1], look.images_2HW.shape[2])
    figure, tiles, scale = row_of_tiles(look.images_2HW[0], TILES, f"{title}; which places are looked at")
    highest = max(LEAST_END, float(maps_2hw.max()))
    for modality, name in enumerate(look.names):
        direction = 1 - modality  # the keys of a direction are the other modality's
        plain, covered = tiles[2 * modality : 2 * modality + 2]
        draw_image(plain, look.images_2HW[modality], name, TEXT_IN / TILES)
        draw_image(covered, look.images_2HW[modality], look.directions[direction], TEXT_IN / TILES)
        lay_over(covered, maps_2hw[direction], image_hw, highest, colormap)
    ticks = {1.0: "1", highest: f"{highest:.3g}"}
    if highest <= MOST_FOR_ZERO:
        ticks = {0.0: "0", **ticks}
    label = f"attention that a place receives, in multiples of the even share 1/{look.num_places}"
    draw_scale(scale, (0, highest), ticks, label, colormap)
    told = [
        f"{direction}, where {look.names[query]} looks: {map_hw.min():.2f} to {map_hw.max():.2f}"
        for query, (direction, map_hw) in enumerate(zip(look.directions, maps_2hw, strict=True))
    ]
    words = f"Mean over {look.attention_2HQK.shape[1]} heads and all queries. {'; '.join(told)}; even attention is 1."
    words_below(figure, wrapped(words, TEXT_IN))
    return figure
