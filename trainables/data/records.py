"""What is known of one image file besides its pixels."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["development", "test"]
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
PHANTOM_MARK = "phantom.txt"  # at the root of every phantom: its models never stand under the real name


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image of a data set; `path` is relative to the set's root, in posix form."""

    path: str
    label: int
    part: Part
    modality: str
    patient_id: str | None = None
