"""Images without labels, however a user names them: files, folders, parquet files of images, CSV tables of paths."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from trainables.data.layouts.csv_table import read_csv_table
from trainables.data.layouts.parquet_files import check_image_column, open_parquet
from trainables.data.layouts.parquet_images import ParquetImages
from trainables.data.records import Read, image_files, read_below, visible_files
from trainables.errors import DataError

_READ_FILE = read_below(Path())


@dataclass(frozen=True, slots=True)
class UnlabelledImage:
    """One image under the name that its prediction has; `file` is where its bytes lie."""

    name: str
    file: Path
    key: str  # what `source` knows it by
    source: Read

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the image that a file of its own holds; it is not opened."""
        return cls(str(path), path, str(path), _READ_FILE)

    @classmethod
    def missing(cls, name: str, file: Path, reason: str) -> Self:
        """Return what stands for an image that a table does not name."""
        return cls(name, file, "", _refusing(reason))

    @property
    def row(self) -> str:
        """Return the number of its row in a table of images; empty where it is a file of its own."""
        return self.name.rpartition("#")[2] if self.file.suffix.lower() == ".parquet" else ""

    def read(self) -> bytes:
        """Return the bytes of an image file. Raises OSError."""
        return self.source(self.key)

    def read_or_reason(self) -> tuple[bytes, str]:
        """Return the bytes and "", or b"" and why they cannot be read."""
        try:
            return self.read(), ""
        except OSError as error:
            return b"", error.strerror or str(error)
        except ValueError as error:  # a path that can be none, e.g. with a NUL
            return b"", str(error)


def list_images(paths: Iterable[str]) -> list[UnlabelledImage]:
    """Return the images that paths name, in the order given; none is opened, tables of paths and parquet schemas are.

    A folder gives the images below it, then the rows of parquet files of images below it; a .parquet file its rows,
    named "file.parquet#17"; a .csv file the images in its column `path`, relative to its folder. What is missing or
    damaged there is found when it is read. Raises DataError for a path that does not exist, a folder without images
    and a table without the column it needs.
    """
    tables = _Tables()
    return [image for given in paths for image in _images(given, tables)]


class _Tables:
    """The parquet files among the images: read by one reader, for each remembers blocks of rows."""

    def __init__(self) -> None:
        self._names: list[str] = []

    @cached_property
    def _images(self) -> ParquetImages:
        return ParquetImages(Path(), self._names)

    def rows(self, path: Path) -> list[UnlabelledImage]:
        """Return an image for each row; a file that is no parquet is one that cannot be read, as a damaged image is."""
        try:
            with open_parquet(path) as file:
                schema, num_rows = file.schema_arrow, int(file.metadata.num_rows)
        except DataError as error:
            reason = str(error).removeprefix(f"{path}: ")
            return [UnlabelledImage(str(path), path, str(path), _refusing(reason))]
        check_image_column(path, schema)
        self._names.append(str(path))
        names = (f"{path}#{row}" for row in range(num_rows))
        return [UnlabelledImage(name, path, name, self._read) for name in names]

    def _read(self, key: str) -> bytes:
        return self._images.read(key)


def _images(given: str, tables: _Tables) -> Iterator[UnlabelledImage]:
    path = Path(given)
    if not given or not path.exists():
        raise DataError(f"{given or 'an empty path'}: no such file or folder")
    if path.is_dir():
        found = [*map(UnlabelledImage.of_file, image_files(path)), *_rows_below(path, tables)]
        if not found:
            raise DataError(f"{path}: no image in this folder, and no parquet file of images")
        yield from found
    elif path.suffix.lower() == ".parquet":
        yield from tables.rows(path)
    elif path.suffix.lower() == ".csv":
        yield from _listed(path)
    else:
        yield UnlabelledImage.of_file(path)


def _rows_below(folder: Path, tables: _Tables) -> Iterator[UnlabelledImage]:
    for path in sorted(path for path in visible_files(folder) if path.suffix.lower() == ".parquet"):
        with suppress(DataError):  # of other columns: a folder may well hold tables of other things
            yield from tables.rows(path)


def _listed(table: Path) -> Iterator[UnlabelledImage]:
    rows = read_csv_table(table, ("path",))
    if not rows:
        raise DataError(f"{table}: holds no rows")
    for line, row in rows:
        cell = row["path"].strip()
        if cell:
            yield UnlabelledImage.of_file(table.parent / cell)
        else:
            yield UnlabelledImage.missing(f"{table}: line {line}", table, "no path")


def _refusing(reason: str) -> Read:
    def read(key: str) -> bytes:
        raise OSError(errno.EINVAL, reason)

    return read
