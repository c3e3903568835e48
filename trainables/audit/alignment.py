"""How alike two thumbnails are once one is laid on the other: what confirms a candidate for a copy."""

import cv2
import numpy as np

from trainables.audit.fingerprints import HEAD, View, head_box

_DETAIL_PX = 1.0  # only detail finer than this counts: heads and skulls are alike, grain and small vessels are not
_ECC_STEPS, _ECC_GAIN = 25, 1e-4
_ECC_SMOOTHING_PX = 5
_MIN_OVERLAP_SHARE = 0.5
_MAX_ZOOM = 1.8
_NOTHING_ALIKE = -1.0


def starting_map(moving_HW: np.ndarray, fixed_HW: np.ndarray, view: View, degrees: float) -> np.ndarray:
    """Return the 2 x 3 matrix from places in `fixed` to places in `moving` under which a view found the two alike."""
    if view is HEAD:
        return (_square(head_box(moving_HW)) @ np.linalg.inv(_square(head_box(fixed_HW))))[:2]
    middle = (fixed_HW.shape[0] - 1) / 2
    return np.linalg.inv(_square(cv2.getRotationMatrix2D((middle, middle), degrees, 1.0)))[:2]


def align(moving_HW: np.ndarray, fixed_HW: np.ndarray, start_23: np.ndarray) -> float:
    """Return the correlation of fine detail of two uint8 thumbnails after an affine alignment; -1 where none exists.

    Brightness and contrast do not matter. Source: Evangelidis and Psarakis, PAMI 2008, as in cv2.findTransformECC.
    """
    steps = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_STEPS, _ECC_GAIN)
    start_23 = start_23.astype(np.float32)
    everywhere_HW = np.ones_like(fixed_HW)
    at_start = detail_correlation(moving_HW, fixed_HW, start_23)
    try:
        _, found_23 = cv2.findTransformECC(
            fixed_HW, moving_HW, start_23.copy(), cv2.MOTION_AFFINE, steps, everywhere_HW, _ECC_SMOOTHING_PX
        )
    except cv2.error:  # no convergence: pictures with nothing in common
        return at_start
    return max(at_start, detail_correlation(moving_HW, fixed_HW, found_23))


def detail_correlation(moving_HW: np.ndarray, fixed_HW: np.ndarray, matrix_23: np.ndarray) -> float:
    """Return the correlation of fine detail where two thumbnails overlap under a given affine map."""
    zoom = np.linalg.svd(matrix_23[:, :2], compute_uv=False)
    if zoom.max() > _MAX_ZOOM or zoom.min() < 1 / _MAX_ZOOM:
        return _NOTHING_ALIKE
    size, flags = fixed_HW.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid_HW = cv2.warpAffine(moving_HW, matrix_23, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    covered_HW = cv2.warpAffine(np.ones_like(moving_HW), matrix_23, size, flags=flags)
    inside_HW = np.asarray(cv2.erode(covered_HW, np.ones((3, 3), np.uint8))) > 0
    if inside_HW.mean() < _MIN_OVERLAP_SHARE:
        return _NOTHING_ALIKE
    a_M, b_M = _detail(fixed_HW)[inside_HW], _detail(np.asarray(laid_HW))[inside_HW]
    a_M, b_M = a_M - a_M.mean(), b_M - b_M.mean()
    return float(a_M @ b_M / max(float(a_M @ a_M) * float(b_M @ b_M), 1e-6) ** 0.5)


def _detail(thumbnail_HW: np.ndarray) -> np.ndarray:
    values_HW = thumbnail_HW.astype(np.float32)
    return np.asarray(values_HW - cv2.GaussianBlur(values_HW, (0, 0), _DETAIL_PX))


def _square(matrix_23: np.ndarray) -> np.ndarray:
    return np.vstack([matrix_23, [0, 0, 1]])
