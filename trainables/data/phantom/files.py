"""Files of a phantom set: pictures in several encodings, masks beside the image trees, patients.csv."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from trainables.data.phantom.head import Floats
from trainables.data.records import PHANTOM_LINE, PHANTOM_MARK

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Encoding:
    """How a picture is stored; the suffix may lie about the format, as in the real sets."""

    suffix: str
    image_format: str
    mode: str


JPEG_RGB = Encoding(".jpg", "JPEG", "RGB")
JPEG_GREY = Encoding(".jpg", "JPEG", "L")
PNG_RGBA = Encoding(".png", "PNG", "RGBA")
MISNAMED_PNG = Encoding(".jpg", "PNG", "RGB")


def encode(picture: Floats, encoding: Encoding) -> bytes:
    """Return a file's bytes for picture_HW in [0, 1]."""
    grey = Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
    content = io.BytesIO()
    if encoding.image_format == "PNG":
        grey.convert(encoding.mode).save(content, "PNG", compress_level=1)
    else:
        grey.convert(encoding.mode).save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


class SetFolder:
    """An empty folder that becomes a data set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # First of all: a set that was broken off halfway must not pass for a real one.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PHANTOM_MARK).write_text(f"{PHANTOM_LINE}\n")
        self._rows = [("path", "patient_id")]

    def add_picture(self, stem: str, picture: Floats, mask: Floats | None, patient_id: str, encoding: Encoding) -> None:
        """Write one picture and, where there is a lesion, masks/<stem>.png."""
        name = stem + encoding.suffix
        self._write(name, encode(picture, encoding))
        self.add_row(name, patient_id)
        if mask is not None:
            self.add_mask(stem, mask)

    def add_mask(self, stem: str, mask: Floats) -> None:
        """Write masks/<stem>.png, 0 or 255."""
        self._write(f"masks/{stem}.png", encode((mask > 0.5).astype(np.float32), Encoding(".png", "PNG", "L")))

    def add_row(self, path: str, patient_id: str) -> None:
        """Say whose picture this is."""
        self._rows.append((path, patient_id))

    def close(self) -> None:
        """Write patients.csv."""
        with (self.folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(self._rows)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
