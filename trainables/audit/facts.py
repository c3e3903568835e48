"""What one image file tells besides its class: measured once, when it is decoded."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.data.images import opened
from trainables.data.records import Side

THUMBNAIL_PX = 64
FACTS_VERSION = 1  # part of the cache key: raise it when the same file would give other facts


@dataclass(frozen=True)
class ImageFacts:
    """Facts of one readable image; grey values are 0..255, the four corners are blocks of an eighth of each side."""

    file_format: str
    mode: str
    width_px: int
    height_px: int
    size_bytes: int
    frames: int
    sha256: str
    pixels_sha256: str  # of the decoded grey slice and its shape: equal for copies that were only stored differently
    mean: float
    std: float
    border_mean: float
    corner_means: tuple[float, float, float, float]  # top left, top right, bottom left, bottom right


@dataclass(frozen=True)
class AuditedImage:
    """One readable image as the audit sees it; images of one case (CT and MR) share `case`."""

    path: str
    case: int
    label: int
    shipped: Side | None
    modality: str
    patient_id: str | None
    facts: ImageFacts


@dataclass(frozen=True)
class AuditInput:
    """Every readable image of a data set and its thumbnail (uint8 thumbnails_NHW, THUMBNAIL_PX a side)."""

    classes: tuple[str, ...]
    images: Sequence[AuditedImage]
    thumbnails_NHW: np.ndarray


def measure(content: bytes, slice_HW: np.ndarray) -> ImageFacts:
    """Return the facts of a file whose decoded grey slice is `slice_HW` (uint8). Raises UnreadableImage."""
    with opened(content) as image:
        file_format, mode, frames = image.format or "unknown", image.mode, getattr(image, "n_frames", 1)
    height_px, width_px = slice_HW.shape
    down, right = max(1, height_px // 8), max(1, width_px // 8)
    border = np.concatenate([slice_HW[0], slice_HW[-1], slice_HW[:, 0], slice_HW[:, -1]])
    corners = [slice_HW[:down, :right], slice_HW[:down, -right:], slice_HW[-down:, :right], slice_HW[-down:, -right:]]
    return ImageFacts(
        file_format=file_format,
        mode=mode,
        width_px=width_px,
        height_px=height_px,
        size_bytes=len(content),
        frames=frames,
        sha256=hashlib.sha256(content).hexdigest(),
        pixels_sha256=hashlib.sha256(f"{width_px}x{height_px}".encode() + slice_HW.tobytes()).hexdigest(),
        mean=float(slice_HW.mean()),
        std=float(slice_HW.std()),
        border_mean=float(border.mean()),
        corner_means=(
            float(corners[0].mean()), float(corners[1].mean()), float(corners[2].mean()), float(corners[3].mean()),
        ),
    )  # fmt: skip
