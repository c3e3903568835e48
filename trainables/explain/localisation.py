"""Does a map point at the lesion, and does it stay inside the head.

Maps are raw: only their positive part is evidence for the explained class.
"""

import cv2
import numpy as np

from trainables.explain.cell_places import CellPlaces, evenly

TIE_FRACTION = 1e-6  # of a map's range: what is equal may differ in its last digits
EVEN_FRACTION = 1e-5  # of a map's highest value: what sums of float32 differ by, and no range to stretch
_HOLES_FRACTION = 0.5  # of Otsu's threshold: grey matter may be much darker than bone or fat, never as dark as air


def is_blank(map_HW: np.ndarray) -> bool:
    """Say whether a map points nowhere: no positive evidence at all, or the same everywhere but for last digits.

    Such a map is counted and left out of every mean. Raises ValueError for values that are not finite.
    """
    if not np.isfinite(map_HW).all():
        raise ValueError("a map holds values that are not finite; an explainer must raise instead")
    return float(map_HW.max()) <= 0 or is_even(map_HW)


def is_even(map_HW: np.ndarray) -> bool:
    """Say whether a map has evidence, and as much of it everywhere but for last digits."""
    highest = float(map_HW.max())
    return highest > 0 and highest - float(map_HW.min()) <= EVEN_FRACTION * highest


def to_image_grid(map_hw: np.ndarray, image_HW: tuple[int, int], places: CellPlaces | None = None) -> np.ndarray:
    """Return a map on the image's grid (float32), bilinear between the layer's cells: cubic would overshoot.

    Cells lie evenly over the image unless other places are given. A map that is finer than the image is averaged. One
    that is the same everywhere stays so: that other places reach no edge of the image is no evidence of the model.
    """
    if is_even(map_hw):
        return np.full(image_HW, map_hw.max(), dtype=np.float32)
    if places is not None and places != evenly((map_hw.shape[0], map_hw.shape[1]), image_HW):
        return places.on_image(map_hw, image_HW)
    height, width = image_HW
    map_hw = np.ascontiguousarray(map_hw, dtype=np.float32)
    if map_hw.shape == (height, width):
        return map_hw
    shrinks = map_hw.shape[0] >= height and map_hw.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(map_hw, (width, height), interpolation=how))


def pointing_score(map_HW: np.ndarray, mask_HW: np.ndarray, tolerance_px: float = 0) -> float | None:
    """Return the share of a map's maxima that lie within tolerance_px of the lesion: 1 or 0 where one pixel is highest.

    Both are on the image's grid. None for a blank map, and where nothing is marked. Pointing game, Zhang et al. 2018
    (IJCV 126:1084), there with 15 px on photographs.
    """
    if is_blank(map_HW) or not mask_HW.any():
        return None
    highest, lowest = map_HW.max(), map_HW.min()
    peaks_HW = map_HW >= highest - TIE_FRACTION * (highest - lowest)
    return float(_widened(mask_HW, tolerance_px)[peaks_HW].mean())


def energy_within(map_HW: np.ndarray, mask_HW: np.ndarray) -> float | None:
    """Return the share of a map's positive mass that lies in the lesion; None for a blank map or an empty mask.

    The energy-based pointing game of Wang et al. 2020 (Score-CAM, arXiv:1910.01279).
    """
    if is_blank(map_HW) or not mask_HW.any():
        return None
    positive_HW = np.maximum(map_HW, 0).astype(np.float64)
    return float(positive_HW[mask_HW].sum() / positive_HW.sum())


def energy_outside(map_HW: np.ndarray, head_HW: np.ndarray) -> float | None:
    """Return the share of a map's positive mass that lies outside the head; None for a blank map, or without a head."""
    if is_blank(map_HW) or not head_HW.any():
        return None
    within = energy_within(map_HW, head_HW)
    return None if within is None else 1 - within


def head_mask(image_HW: np.ndarray) -> np.ndarray:
    """Return where the head is (bool): the hull of the largest bright thing in a grey image in [0, 1].

    Cheap, and meant for one share only: a table or a caption beside the head is left out, air inside it is not. All
    False for an image that is the same everywhere.
    """
    grey_HW = (np.clip(image_HW, 0, 1) * 255).round().astype(np.uint8)
    head_HW = np.zeros(grey_HW.shape, dtype=np.uint8)
    if grey_HW.max() == grey_HW.min():
        return head_HW.astype(bool)
    threshold, _ = cv2.threshold(grey_HW, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright_HW = (grey_HW > _HOLES_FRACTION * threshold).astype(np.uint8)
    contours, _ = cv2.findContours(bright_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(contours, key=cv2.contourArea)
    cv2.fillConvexPoly(head_HW, cv2.convexHull(largest), 1)
    return head_HW.astype(bool)


def _widened(mask_HW: np.ndarray, tolerance_px: float) -> np.ndarray:
    if tolerance_px <= 0:
        return mask_HW
    gaps_HW = cv2.distanceTransform((~mask_HW).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(gaps_HW <= tolerance_px)
