"""What is known of one image file besides its pixels."""

import os
from dataclasses import dataclass
from pathlib import Path
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


def image_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted; hidden ones are passed over, linked folders are followed once.

    A link that leads nowhere is among them, so that it is counted as unreadable.
    """
    found, seen = [], set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            images = (
                name for name in names if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
            )
            found += [Path(where, name) for name in images]
        seen.add(real)
    return sorted(found)
