"""What is known of one image file besides its pixels."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["development", "test"]


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One image of a data set; `path` is relative to the set's root, in posix form."""

    path: str
    label: int
    part: Part
    modality: str
    patient_id: str | None = None
