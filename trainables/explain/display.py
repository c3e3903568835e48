"""Raw maps -> what is drawn. Metrics never see these: magnitudes and ranks are those of the raw maps."""

from collections.abc import Sequence

import numpy as np

from trainables.explain.localisation import is_even, to_image_grid


def display_maps(
    maps_BHW: np.ndarray, image_hw: tuple[int, int], exponents_B: Sequence[float] | None = None
) -> np.ndarray:
    """Return shown_BHW in [0, 1] at the image's size: bilinear, then min-max per map, after what is negative is 0.

    A map without positive evidence stays 0 all over, and a positive one that is the same everywhere is 1: noise is
    never stretched. `exponents_B`, above 0, are the dementia project's class weights (1 for none): a gamma, which
    narrows the bright area above 1. Raises ValueError for maps that are not finite, and for other exponents.
    """
    if maps_BHW.ndim != 3 or not np.isfinite(maps_BHW).all():
        raise ValueError(f"maps of shape {maps_BHW.shape}: expected finite maps_BHW")
    exponents = [1.0] * len(maps_BHW) if exponents_B is None else list(exponents_B)
    if len(exponents) != len(maps_BHW) or min(exponents, default=1.0) <= 0:
        raise ValueError(f"exponents {exponents}: expected one above 0 for each of {len(maps_BHW)} maps")
    shown = [
        _scaled(to_image_grid(np.maximum(one_hw, 0), image_hw)) ** power
        for one_hw, power in zip(maps_BHW, exponents, strict=True)
    ]
    return np.stack(shown).astype(np.float32) if shown else np.zeros((0, *image_hw), np.float32)


def _scaled(map_HW: np.ndarray) -> np.ndarray:
    lowest, highest = float(map_HW.min()), float(map_HW.max())
    if highest <= 0:
        return np.zeros_like(map_HW)
    if is_even(map_HW):
        return np.ones_like(map_HW)
    return (map_HW - lowest) / (highest - lowest)
