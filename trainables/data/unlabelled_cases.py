"""Cases without labels, however a user names them: single images, or pairs of them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.layouts.csv_table import read_csv_table
from trainables.data.unlabelled import UnlabelledImage, list_images
from trainables.errors import DataError

SAME = "the same file as both images; a case has one of each kind"


@dataclass(frozen=True, slots=True)
class UnlabelledCase:
    """The images of one case, in the order that a model takes them."""

    images: tuple[UnlabelledImage, ...]

    @property
    def name(self) -> str:
        """Return what a message calls it: its files, or the line of the table that lacks one."""
        lines = [image.name for image in self.images if not image.key]
        return lines[0] if lines else " + ".join(image.name for image in self.images)

    def read_or_reason(self) -> tuple[list[bytes], str]:
        """Return the bytes of each image and "", or nothing in them and why they cannot be read."""
        contents = []
        for image in sorted(self.images, key=lambda image: bool(image.key)):  # what no table names is told first
            content, reason = image.read_or_reason()
            if reason:
                told = reason if len(self.images) == 1 or image.name == self.name else f"{image.name}: {reason}"
                return [b""] * len(self.images), told
            contents.append(content)
        return contents, ""


def single_images(paths: Iterable[str]) -> list[UnlabelledCase]:
    """Return a case for each image that paths name. Raises DataError as `list_images`."""
    return [UnlabelledCase((image,)) for image in list_images(paths)]


def one_case(paths: Sequence[str]) -> UnlabelledCase:
    """Return the case of these image files, one for each of a model's inputs.

    Raises DataError for what is no image file, and where two are one and the same.
    """
    if len({_real(Path(path)) for path in paths}) < len(paths):
        raise DataError(f"{paths[0]}: {SAME}")
    images = []
    for path in paths:
        found = list_images([path])
        if len(found) != 1 or found[0].file != Path(path) or found[0].row:
            raise DataError(f"{path}: expected one image file, as a case has one of each kind")
        images += found
    return UnlabelledCase(tuple(images))


def list_cases(table: Path, columns: Sequence[str]) -> list[UnlabelledCase]:
    """Return a case for each row of a CSV file with a column of paths for each image, relative to its folder.

    A file that is missing, or not named, is found when it is read. Raises DataError for a table without these columns
    or rows.
    """
    if not table.is_file():
        raise DataError(f"{table}: {'is a folder; name a CSV file' if table.is_dir() else 'no such file'}")
    cases = []
    for line, row in read_csv_table(table, tuple(columns)):
        cells = {column: row[column].strip() for column in columns}
        files = [_real(table.parent / cell) for cell in cells.values()]
        images = (
            UnlabelledImage.of_file(table.parent / cell)
            if cell and files.count(_real(table.parent / cell)) == 1
            else UnlabelledImage.missing(f"{table}: line {line}", table, SAME if cell else f"no {column}")
            for column, cell in cells.items()
        )
        cases.append(UnlabelledCase(tuple(images)))
    if not cases:
        raise DataError(f"{table}: holds no rows")
    return cases


def _real(path: Path) -> str:
    """Return the one spelling of a path; one that can be none, e.g. with a NUL, is told when it is read."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return str(path)
