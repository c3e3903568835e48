"""Short vectors of thumbnails whose scalar product is high for copies of one picture and low for other pictures.

Brains look alike: plain correlation, and average hashes all the more, are high for nearly all pairs of slices. What the
pictures of a set have in common is therefore weighted down, by whitening on the set itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from trainables.audit.orientations import ORIENTATIONS, orient

FLAT_STD = 2.0  # grey values; flatter thumbnails hold nothing to compare
_RIDGE = 0.1  # of the mean eigenvalue: keeps noise from being blown up to the size of anatomy
_MAX_SAMPLE = 1000  # images that the whitening is fitted on, each in eight orientations
_HALF_WIDTH_SDS = 1.6  # a head's box reaches this far from its centre, in standard deviations of its mass
_MIN_SD_PX = 6.0


@dataclass(frozen=True)
class Whitening:
    """A projection of small pictures to unit vectors; without a mean, so that a negative has the negated vector."""

    side_px: int
    projection_FD: np.ndarray

    def vectors(self, small_NHW: np.ndarray) -> np.ndarray:
        """Return vectors_ND (float32, unit length) of pictures of `side_px`."""
        projected_ND = _standardised(small_NHW) @ self.projection_FD
        return np.asarray(projected_ND / np.linalg.norm(projected_ND, axis=1, keepdims=True).clip(1e-9))


def fit_whitening(small_NHW: np.ndarray, dimensions: int) -> Whitening:
    """Fit on an even sample of pictures in all orientations: turning a picture cannot move it out of the fit."""
    rows = np.linspace(0, len(small_NHW) - 1, min(len(small_NHW), _MAX_SAMPLE)).astype(int)
    second_moment_FF = np.zeros((small_NHW[0].size, small_NHW[0].size), np.float64)
    for orientation in ORIENTATIONS:
        flat_NF = _standardised(orient(small_NHW[rows], orientation))
        second_moment_FF += flat_NF.T @ flat_NF
    second_moment_FF /= len(ORIENTATIONS) * len(rows)
    values_F, vectors_FF = np.linalg.eigh(second_moment_FF)
    values_D, vectors_FD = values_F[::-1][:dimensions].clip(0), vectors_FF[:, ::-1][:, :dimensions]
    projection_FD = vectors_FD / np.sqrt(values_D + _RIDGE * values_D.mean() + 1e-12)
    return Whitening(small_NHW.shape[-1], projection_FD.astype(np.float32))


def contrast(thumbnails_NHW: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each thumbnail's grey values, one at a time: the set may fill the memory."""
    return np.array([float(one_HW.std()) for one_HW in thumbnails_NHW])


def shrink(thumbnails_NHW: np.ndarray, side_px: int) -> np.ndarray:
    """Return smaller pictures, float32."""
    size = (side_px, side_px)
    small = [cv2.resize(one_HW, size, interpolation=cv2.INTER_AREA) for one_HW in thumbnails_NHW]
    return np.stack(small).astype(np.float32)


def rotate(thumbnail_HW: np.ndarray, degrees: float) -> np.ndarray:
    """Return a thumbnail turned anticlockwise about its centre; corners are filled from the border."""
    if degrees == 0:
        return thumbnail_HW
    side = thumbnail_HW.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(thumbnail_HW, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE))


def head_box(thumbnail_HW: np.ndarray) -> np.ndarray:
    """Return the 2 x 3 matrix from a thumbnail's own frame to the box around its head (both in pixels).

    The box follows the centre and the spread of everything that differs from the border, so that cropping, padding and
    shifting move it along with the head.
    """
    side = thumbnail_HW.shape[0]
    smooth_HW = cv2.GaussianBlur(thumbnail_HW.astype(np.float32), (0, 0), 1)
    border = np.median(np.concatenate([smooth_HW[0], smooth_HW[-1], smooth_HW[:, 0], smooth_HW[:, -1]]))
    mass_HW = np.abs(smooth_HW - border)
    mass_HW = np.clip(mass_HW / max(float(np.quantile(mass_HW, 0.95)), 1.0), 0, 1)
    mass_HW[mass_HW < 0.1] = 0
    places = np.arange(side, dtype=np.float32)
    total = max(float(mass_HW.sum()), 1.0)
    centre_and_half = []
    for along in (mass_HW.sum(0), mass_HW.sum(1)):  # x, then y
        centre = float((along * places).sum() / total)
        sd_px = max(float(np.sqrt((along * (places - centre) ** 2).sum() / total)), _MIN_SD_PX)
        centre_and_half.append((centre, _HALF_WIDTH_SDS * sd_px))
    (x, half_x), (y, half_y) = centre_and_half
    return np.array([[2 * half_x / side, 0, x - half_x], [0, 2 * half_y / side, y - half_y]], np.float32)


def cut_head(thumbnail_HW: np.ndarray) -> np.ndarray:
    """Return the head's box, stretched to the thumbnail's size."""
    side = thumbnail_HW.shape[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    box = head_box(thumbnail_HW)
    return np.asarray(cv2.warpAffine(thumbnail_HW, box, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def whole_frame(thumbnail_HW: np.ndarray) -> np.ndarray:
    """Return the thumbnail as it is."""
    return thumbnail_HW


@dataclass(frozen=True)
class View:
    """A way to look at thumbnails; `degrees` are the small rotations in which it is searched."""

    name: str
    cut: Callable[[np.ndarray], np.ndarray]
    degrees: tuple[float, ...]

    def pictures(self, thumbnails_NHW: np.ndarray, degrees: float, side_px: int) -> np.ndarray:
        """Return small_NHW of thumbnails after a small rotation."""
        return shrink(np.stack([self.cut(rotate(one_HW, degrees)) for one_HW in thumbnails_NHW]), side_px)


FRAME = View("frame", whole_frame, (0.0, -6.0, 6.0))  # finds changes inside the picture: text, patches, small rotations
HEAD = View("head", cut_head, (0.0,))  # finds changes of the frame: crops, bars, shifts


def _standardised(small_NHW: np.ndarray) -> np.ndarray:
    flat_NF = small_NHW.reshape(len(small_NHW), -1).astype(np.float32)
    flat_NF -= flat_NF.mean(axis=1, keepdims=True)
    return np.asarray(flat_NF / np.linalg.norm(flat_NF, axis=1, keepdims=True).clip(1e-9))
