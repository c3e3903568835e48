"""Scanners: layers of tissue in, grey picture out. CT in Hounsfield units through a window, MR as signal magnitude."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from trainables.data.phantom.anatomy import Layers, Tissue
from trainables.data.phantom.head import Floats, Pose

_TISSUES = tuple(Tissue)


class Contrast(IntEnum):
    """How the head was scanned."""

    CT = 0
    T1 = 1
    T1_GADOLINIUM = 2
    T2 = 3
    FLAIR = 4
    DIFFUSION = 5
    DIFFUSION_COEFFICIENT = 6


# One row per contrast, in the order of Tissue: CT in HU, MR as a fraction of full signal
_LEVELS: Mapping[Contrast, Mapping[Tissue, float]] = {
    contrast: dict(zip(_TISSUES, levels, strict=True))
    for contrast, levels in {
        # fat muscle bone marrow air | white grey deep csf dura vessel eye calcium | infarct blood oedema | tumours
        Contrast.CT: (-60, 45, 1000, 450, -1000, 28, 38, 37, 5, 52, 46, 12, 160, 4, 78, 15, 9, 60, 46, 60, 58),
        Contrast.T1: (
            *(0.80, 0.36, 0.05, 0.35, 0.0, 0.64, 0.42, 0.52, 0.12, 0.30, 0.10, 0.16, 0.20),
            *(0.30, 0.78, 0.42, 0.20, 0.38, 0.36, 0.36, 0.36),
        ),
        Contrast.T1_GADOLINIUM: (
            *(0.80, 0.42, 0.05, 0.35, 0.0, 0.50, 0.40, 0.43, 0.14, 0.70, 0.90, 0.16, 0.20),
            *(0.32, 0.75, 0.32, 0.12, 1.05, 0.74, 1.00, 0.95),
        ),
        Contrast.T2: (
            *(0.62, 0.25, 0.05, 0.30, 0.0, 0.32, 0.49, 0.39, 0.92, 0.12, 0.08, 0.90, 0.05),
            *(0.84, 0.16, 0.80, 0.95, 0.50, 0.74, 0.72, 0.72),
        ),
        Contrast.FLAIR: (
            *(0.60, 0.30, 0.05, 0.28, 0.0, 0.40, 0.50, 0.47, 0.10, 0.20, 0.08, 0.12, 0.08),
            *(0.92, 0.85, 0.84, 0.25, 0.75, 0.85, 0.80, 0.80),
        ),
        Contrast.DIFFUSION: (
            *(0.10, 0.14, 0.03, 0.05, 0.0, 0.36, 0.44, 0.40, 0.13, 0.20, 0.10, 0.14, 0.05),
            *(1.05, 0.95, 0.50, 0.20, 0.70, 0.62, 0.66, 0.66),
        ),
        Contrast.DIFFUSION_COEFFICIENT: (
            *(0.06, 0.28, 0.03, 0.05, 0.0, 0.36, 0.42, 0.39, 0.95, 0.20, 0.10, 0.90, 0.10),
            *(0.08, 0.10, 0.62, 0.85, 0.45, 0.55, 0.45, 0.45),
        ),
    }.items()
}


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One session on one scanner: shared by the slices of one patient and modality."""

    contrast: Contrast
    rotation_rad: float
    shift_fraction: tuple[float, float]
    bias_xy: tuple[float, float]
    bias_bowl: float
    noise: float
    blur_px: float
    lowest_hu: float  # CT display window
    shown_hu: float
    head_mean: float  # MR display: an automatic window, set by the mean inside the head
    gamma: float
    table_gap_fraction: float  # CT only: patient table below the head

    def pose(self, canvas_hw: tuple[int, int]) -> Pose:
        """Return how the head lies on a canvas of this size."""
        return Pose(canvas_hw=canvas_hw, rotation_rad=self.rotation_rad, shift_fraction=self.shift_fraction)


def draw_scan(rng: np.random.Generator, contrast: Contrast, brightness: float, grain: float) -> Scan:
    """Return a session; `brightness` and `grain` in [0, 1) span dark to bright displays, quiet to noisy ones."""
    dx, dy, bias_x, bias_y = rng.uniform(-1, 1, size=4).tolist()  # numpy floats would turn float32 maps into float64
    is_ct = contrast is Contrast.CT
    return Scan(
        contrast=contrast,
        rotation_rad=math.radians(rng.uniform(-18, 18)),
        shift_fraction=(0.045 * dx, 0.045 * dy),
        bias_xy=(0.22 * bias_x, 0.22 * bias_y),
        bias_bowl=rng.uniform(-0.15, 0.25),
        noise=1.5 + 2.0 * grain if is_ct else 0.010 + 0.020 * grain,
        blur_px=rng.uniform(0.35, 0.7),
        lowest_hu=3 - 13 * brightness,
        shown_hu=rng.uniform(54, 74),
        head_mean=0.22 + 0.22 * brightness,
        gamma=rng.uniform(0.85, 1.2),
        table_gap_fraction=rng.uniform(0.01, 0.08),
    )


def picture(layers: Layers, scan: Scan, rng: np.random.Generator) -> Floats:
    """Return picture_HW, in [0, 1] before clipping."""
    return _ct_picture(layers, scan, rng) if scan.contrast is Contrast.CT else _mr_picture(layers, scan, rng)


def _paint(layers: Layers, contrast: Contrast, background: float) -> Floats:
    levels = _LEVELS[contrast]
    painted = np.full_like(layers[0][1], background)
    for tissue, cover in layers:
        painted += (levels[tissue] - painted) * cover
    return painted


def _blurred(picture: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), dtype=np.float32)


def _ramps(canvas_hw: tuple[int, ...]) -> tuple[Floats, Floats]:
    y = np.linspace(-1, 1, canvas_hw[0], dtype=np.float32)[:, None]
    return np.linspace(-1, 1, canvas_hw[1], dtype=np.float32)[None], y


def _ct_picture(layers: Layers, scan: Scan, rng: np.random.Generator) -> Floats:
    """Return Hounsfield units through the display window; bone is far above it."""
    hu = _paint(layers, Contrast.CT, -1000)
    x, y = _ramps(hu.shape)
    from_middle = np.hypot(x, y) / 2
    table = np.abs(from_middle - 0.5 - scan.table_gap_fraction) < 0.008
    hu[table & (y > 0.4) & (hu < -900)] = 150
    hu += 10 * (scan.bias_xy[0] * x + scan.bias_xy[1] * y + scan.bias_bowl * (x**2 + y**2))  # beam hardening, cupping
    hu = _blurred(np.clip(hu, -200, 200), scan.blur_px)
    grain = _blurred(rng.standard_normal(hu.shape, dtype=np.float32), 0.6)
    hu += 2 * scan.noise * grain  # the blur halves the deviation
    return np.asarray((hu - scan.lowest_hu) / scan.shown_hu, dtype=np.float32)


def _mr_picture(layers: Layers, scan: Scan, rng: np.random.Generator) -> Floats:
    """Return signal with coil shading and Rician noise; spots of fat reach white, so the maximum tells nothing."""
    signal = _paint(layers, scan.contrast, 0.0)
    fat = np.zeros_like(signal)
    for tissue, cover in layers:
        fat += ((tissue is Tissue.FAT) - fat) * cover
    spots = cv2.resize(rng.random((12, 12), dtype=np.float32), signal.shape[::-1], interpolation=cv2.INTER_CUBIC)
    signal += 4 * np.clip(spots - 0.45, 0, 1) ** 2 * fat
    x, y = _ramps(signal.shape)
    signal *= 1 + scan.bias_xy[0] * x + scan.bias_xy[1] * y + scan.bias_bowl * (x**2 + y**2 - 0.3)
    signal = _blurred(signal, scan.blur_px)
    shown = np.maximum(signal, 0) ** scan.gamma
    shown *= scan.head_mean / shown[signal > 0.1].mean()
    real, imaginary = scan.noise * rng.standard_normal((2, *shown.shape), dtype=np.float32)
    return np.asarray(np.hypot(shown + real, imaginary), dtype=np.float32)
