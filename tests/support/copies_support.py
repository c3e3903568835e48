"""What the audit sees of a folder, a phantom or a handful of files: for its tests and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from phantom_support import read_pictures

from trainables.audit.facts import THUMBNAIL_PX, AuditedImage, AuditInput, measure
from trainables.data.images import decode_grey, resize_square
from trainables.data.records import image_files


@dataclass(frozen=True)
class SourceImage:
    """One file, its class and, where known, whose it is."""

    path: str
    label: str
    content: bytes
    patient: str | None = None


def folder_images(folder: Path) -> list[SourceImage]:
    """Return the image files of a real set; the class is the folder they lie in."""
    return [
        SourceImage(path.relative_to(folder).as_posix(), path.parent.name, path.read_bytes())
        for path in image_files(folder)
    ]


def parquet_images(folder: Path) -> list[SourceImage]:
    """Return the rows of the real Alzheimer set: parquet files in data/."""
    return [
        SourceImage(f"{path.name}#{row}", str(label), image["bytes"])
        for path in sorted((folder / "data").glob("*.parquet"))
        for row, (image, label) in enumerate(pd.read_parquet(path).itertuples(index=False))
    ]


def phantom_images(folder: Path) -> list[SourceImage]:
    """Return the images of a phantom with the patients that its patients.csv names."""
    return [
        SourceImage(picture.path, picture.label, picture.content, picture.patient) for picture in read_pictures(folder)
    ]


def audit_input(sources: Sequence[SourceImage]) -> AuditInput:
    """Decode and measure images; patients are left out, so that nothing can look at them."""
    classes = sorted({source.label for source in sources})
    images, thumbnails = [], []
    for i, source in enumerate(sources):
        slice_HW = decode_grey(source.content)
        label = classes.index(source.label)
        facts = measure(source.content, slice_HW)
        images.append(AuditedImage(source.path, i, label, None, "unknown", None, facts))
        thumbnails.append(resize_square(slice_HW, THUMBNAIL_PX))
    return AuditInput(tuple(classes), images, np.stack(thumbnails))


def index_pairs(groups: Sequence[object] | np.ndarray) -> set[tuple[int, int]]:
    """Return all pairs (first < second) of indices that lie in one group."""
    members: dict[object, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    return {(a, b) for own in members.values() for at, a in enumerate(own) for b in own[at + 1 :]}
