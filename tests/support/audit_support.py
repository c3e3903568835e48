"""Data sets as the audit sees them: from pictures in memory, from a phantom, from a folder of a known layout."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from phantom_support import read_pictures

from trainables.audit.facts import THUMBNAIL_PX, AuditedImage, AuditInput, ImageFacts, measure
from trainables.data.images import decode_grey, resize_square
from trainables.data.records import Side


def made_up_facts(**changes: object) -> ImageFacts:
    """Return the facts of a plain JPEG, but for `changes`."""
    plain: dict[str, object] = {
        "file_format": "JPEG", "mode": "L", "width_px": 200, "height_px": 220, "size_bytes": 9000, "frames": 1,
        "sha256": "", "pixels_sha256": "", "mean": 60.0, "std": 50.0, "border_mean": 3.0,
        "corner_means": (2.0, 2.0, 2.0, 2.0),
    }  # fmt: skip
    return ImageFacts(**(plain | changes))  # type: ignore[arg-type]


def made_up_image(index: int, label: int, **changes: object) -> AuditedImage:
    """Return an image of a case of its own; keys of `changes` that an AuditedImage lacks are of its facts."""
    own = {key: changes.pop(key) for key in ("path", "case", "shipped", "modality", "patient_id") if key in changes}
    image: dict[str, object] = {
        "path": f"images/{index:05d}.jpg", "case": index, "shipped": None, "modality": "MR", "patient_id": None,
    }  # fmt: skip
    return AuditedImage(label=label, facts=made_up_facts(**changes), **(image | own))  # type: ignore[arg-type]


def made_up_set(images: Sequence[AuditedImage], classes: tuple[str, ...] = ("healthy", "tumour")) -> AuditInput:
    """Return a set whose thumbnails are noise, each of its own."""
    noise_NHW = np.random.default_rng(0).integers(0, 256, (len(images), THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint8)
    return AuditInput(classes, images, noise_NHW)


Row = tuple[str, str, Side | None, str, str | None, bytes]  # path, class, side, modality, patient, content


def audit_input(rows: Iterable[Row]) -> AuditInput:
    """Measure files in memory."""
    rows = list(rows)
    classes = tuple(sorted({row[1] for row in rows}))
    images, thumbnails = [], []
    for case, (path, name, side, modality, patient, content) in enumerate(rows):
        slice_HW = decode_grey(content)
        images.append(
            AuditedImage(path, case, classes.index(name), side, modality, patient, measure(content, slice_HW))
        )
        thumbnails.append(resize_square(slice_HW, THUMBNAIL_PX))
    return AuditInput(classes, images, np.stack(thumbnails))


def phantom_input(folder: Path) -> AuditInput:
    """Measure a phantom, with its patients and without its split."""
    return audit_input((p.path, p.label, None, p.modality, p.patient, p.content) for p in read_pictures(folder))


def stroke_input(folder: Path) -> AuditInput:
    """Measure the real stroke set."""
    rows: list[Row] = []
    for path in sorted(path for path in (folder / "deep").rglob("*") if path.suffix.lower() in (".jpg", ".png")):
        name = "stroke" if path.parent.name.lower().startswith("stroke") else "control"
        side: Side = "test" if "test" in path.parts else "training"
        rows.append((path.relative_to(folder).as_posix(), name, side, path.parent.name[-2:], None, path.read_bytes()))
    return audit_input(rows)
