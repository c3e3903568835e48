"""Where the fused map of a two-image model is large, drawn over both images."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainables.evaluation.figures.labels import wrapped
from trainables.evaluation.figures.style import save, words_below
from trainables.explain.cross_look import CrossLook
from trainables.explain.localisation import is_blank, to_image_grid
from trainables.explain.panels import COLORMAP, draw_overlay
from trainables.explain.wide_figures import TEXT_IN, draw_image, draw_scale, row_of_tiles

TILES = 4


def fused_map(fused_DHW: np.ndarray) -> np.ndarray:
    """Return map_hw: the mean over channels of the absolute value."""
    return np.asarray(np.abs(fused_DHW).mean(axis=0, dtype=np.float64), np.float32)


def draw_fused(path: Path, look: CrossLook, title: str, colormap: str = COLORMAP) -> None:
    """Write a PNG: each image, and beside it the fused map over it."""
    save(fused_figure(look, title, colormap), path)


def fused_figure(look: CrossLook, title: str, colormap: str = COLORMAP) -> Figure:
    """Return the figure of `draw_fused`: the same map over both images, from its smallest to its largest value."""
    map_hw = fused_map(look.fused_DHW)
    map_HW = to_image_grid(map_hw, (look.images_2HW.shape[1], look.images_2HW.shape[2]))
    lowest, highest, mean = float(map_HW.min()), float(map_HW.max()), float(map_hw.mean())
    nothing_to_draw = is_blank(map_HW)
    figure, tiles, scale = row_of_tiles(look.images_2HW[0], TILES, f"{title}; fused map")
    for modality, name in enumerate(look.names):
        image_HW = look.images_2HW[modality]
        plain, covered = tiles[2 * modality : 2 * modality + 2]
        draw_image(plain, image_HW, name, TEXT_IN / TILES)
        draw_image(covered, image_HW, f"fused over {name}", TEXT_IN / TILES)
        if not nothing_to_draw:
            draw_overlay(covered, image_HW, map_HW, colormap)
    words = f"Mean |activation| of {len(look.fused_DHW)} fused channels"
    if nothing_to_draw:
        scale.axis("off")
        words += f": {mean:.3g} everywhere, so there is nothing to draw."
    else:
        ticks = {lowest: f"{lowest:.3g}", highest: f"{highest:.3g}"}
        draw_scale(scale, (lowest, highest), ticks, "mean |activation| of the fused map, its own scale", colormap)
        words += (
            f", {lowest:.3g} to {highest:.3g}: a range of {(highest - lowest) / mean:.0%} of its mean over the image, "
            "stretched over all colours however small it is. It is the same for every class, and joins the same place "
            "of both images, as if they lay on each other."
        )
    words_below(figure, wrapped(words, TEXT_IN))
    return figure
