"""How a tensor of features lies over the image: which of its axes go down and across, and which counts channels."""

from typing import Literal

Layout = Literal["BCHW", "BHWC", "BNC"]


def layout_of(
    shape: tuple[int, ...], image_hw: tuple[int, int], token_grid: tuple[int, int] | None = None, num_prefix: int = 0
) -> tuple[Layout, tuple[int, int]] | None:
    """Return the layout and the grid (rows, columns) of a layer's output; None for what is no grid of the image.

    A grid has the proportions of the image. Where both readings of four axes have, the channels come first, as in
    torch. Tokens must be those of `token_grid`, perhaps after `num_prefix` others; without one, of such a grid exactly.
    """
    if len(shape) == 4:
        if _has_proportions((shape[2], shape[3]), image_hw):
            return "BCHW", (shape[2], shape[3])
        if _has_proportions((shape[1], shape[2]), image_hw):
            return "BHWC", (shape[1], shape[2])
        return None
    if len(shape) != 3:
        return None
    grid = token_grid or _grid_of(shape[1], image_hw)
    return None if grid is None or shape[1] - grid[0] * grid[1] not in (0, num_prefix) else ("BNC", grid)


def _has_proportions(grid: tuple[int, int], image_hw: tuple[int, int]) -> bool:
    """Return whether a grid is that of the image, to within one cell: strides round."""
    (rows, columns), (height, width) = grid, image_hw
    return rows <= height and columns <= width and abs(rows * width - columns * height) < max(height, width)


def _grid_of(num_tokens: int, image_hw: tuple[int, int]) -> tuple[int, int] | None:
    grids = [(rows, num_tokens // rows) for rows in range(1, num_tokens + 1) if num_tokens % rows == 0]
    fitting = [grid for grid in grids if grid[0] * image_hw[1] == grid[1] * image_hw[0]]
    return fitting[0] if fitting else None
