"""What a map must beat: maps that know nothing of the model, on the same grid, so that coarseness is not judged.

A random map says what chance gives; a bump in the middle what is had by looking where lesions and heads mostly are.
"""

from typing import Literal

import numpy as np

Control = Literal["random", "centre"]
CONTROLS: tuple[Control, ...] = ("random", "centre")
RANDOM_DRAWS = 32  # per image
CENTRE_FRACTION = 0.2  # of the image's sides: the bump's standard deviation
FEWEST_CELLS = 5  # a side: on fewer the middle is no cell of its own, on 2 x 2 nothing is left of the bump


def control_maps(control: Control, grid_hw: tuple[int, int], seed: int, index: int) -> list[np.ndarray]:
    """Return a control's maps_hw for the image of this index (its place in the data set, not in a batch).

    Several random ones, as one of them hits or misses a lesion: where an image is but one of a few, all may miss.
    """
    if control == "random":
        return [random_map(grid_hw, seed, index, draw) for draw in range(RANDOM_DRAWS)]
    return [centre_map((max(grid_hw[0], FEWEST_CELLS), max(grid_hw[1], FEWEST_CELLS)))]


def random_map(grid_hw: tuple[int, int], seed: int, index: int, draw: int = 0) -> np.ndarray:
    """Return map_hw of independent uniform numbers, the same whenever seed, index and draw are."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, 0, draw)))
    return rng.random(grid_hw, dtype=np.float32)


def centre_map(grid_hw: tuple[int, int]) -> np.ndarray:
    """Return map_hw of a Gaussian in the image's middle, in (0, 1]."""
    y_h, x_w = ((np.arange(cells) + 0.5) / cells - 0.5 for cells in grid_hw)
    bump_hw = np.exp(-(y_h[:, None] ** 2 + x_w[None] ** 2) / (2 * CENTRE_FRACTION**2))
    return np.asarray(bump_hw.astype(np.float32))
