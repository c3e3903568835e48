"""The eight ways in which a square picture can be laid on itself, and what to call them."""

import numpy as np

ORIENTATIONS = range(8)  # 0-3: quarter turns; 4-7: mirrored left to right, then turned
SAME = 0
_WORDS = (
    "same orientation",
    "turned 90°",
    "turned 180°",
    "turned 270°",
    "mirrored",
    "mirrored and turned 90°",
    "upside down",
    "mirrored and turned 270°",
)


def orient(pictures: np.ndarray, orientation: int) -> np.ndarray:
    """Return pictures of shape [..., H, W], mirrored if the orientation is 4 or more, then turned anticlockwise."""
    mirrored = pictures[..., ::-1] if orientation >= 4 else pictures
    return np.ascontiguousarray(np.rot90(mirrored, orientation % 4, axes=(-2, -1)))


def inverse(orientation: int) -> int:
    """Return the orientation that undoes another: a mirrored one undoes itself."""
    return orientation if orientation >= 4 else -orientation % 4


def name_of(orientation: int) -> str:
    """Return plain words for an orientation."""
    return _WORDS[orientation]
