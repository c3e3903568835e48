"""Occlusion: how much the class's logit drops when a square of the image is hidden. Asks no layer and no gradient."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trainables.errors import OneCell

VARIANTS_AT_ONCE = 32
CELLS = 14  # along each side; small images have cells of 4 px and fewer of them
SMALLEST_CELL_PX = 4


def occlusion_map(score_B: Callable[[Tensor], Tensor], image_1CHW: Tensor, margin_cells: float = 0.5) -> np.ndarray:
    """Return drops_HW, signed: below 0 where hiding helps the class. Zeiler and Fergus 2014 (arXiv:1311.2901).

    The image is divided into cells; hidden is a cell with a margin on each side, by the mean of each channel, so that
    neighbouring squares overlap while the map lies over the image as a grid does. Raises OneCell for tiny images.
    """
    height, width = image_1CHW.shape[2:]
    rows, columns = _edges(height), _edges(width)
    if len(rows) == len(columns) == 2:
        raise OneCell(f"occlusion hides cells of {SMALLEST_CELL_PX} px, and an image of {height} x {width} px has one")
    fill_C11 = image_1CHW[0].mean(dim=(1, 2), keepdim=True)
    squares = [
        (_with_margin(rows, row, margin_cells), _with_margin(columns, column, margin_cells))
        for row in range(len(rows) - 1)
        for column in range(len(columns) - 1)
    ]
    drops = []
    with torch.no_grad():
        whole = score_B(image_1CHW)
        for start in range(0, len(squares), VARIANTS_AT_ONCE):
            some = squares[start : start + VARIANTS_AT_ONCE]
            hidden_BCHW = image_1CHW.repeat(len(some), 1, 1, 1)
            for number, (down, across) in enumerate(some):
                hidden_BCHW[number, :, down, across] = fill_C11
            drops.append(whole - score_B(hidden_BCHW))
    drops_HW: np.ndarray = torch.cat(drops).reshape(len(rows) - 1, len(columns) - 1).cpu().numpy()
    return drops_HW


def _edges(side_px: int) -> list[int]:
    num_cells = max(1, min(CELLS, side_px // SMALLEST_CELL_PX))
    return [round(edge) for edge in np.linspace(0, side_px, num_cells + 1)]


def _with_margin(edges: list[int], cell: int, margin_cells: float) -> slice:
    margin_px = round(margin_cells * (edges[cell + 1] - edges[cell]))
    return slice(max(0, edges[cell] - margin_px), edges[cell + 1] + margin_px)
