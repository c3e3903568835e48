"""What is known of the cases of a data set besides their pixels."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from trainables.data.dicom import MARK_ENDS_AT, is_dicom
from trainables.data.pairing_facts import PairingFacts

Side = Literal["training", "validation", "test"]
Read = Callable[[str], bytes]
Part = Literal["development", "test"]  # development = training and validation: all that search may ever see
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".dcm", ".dicom"}
OTHER_SUFFIXES = {".csv", ".parquet", ".txt", ".md", ".json", ".yaml", ".yml", ".html", ".py", ".log", ".db"}
DICOM_INDEX = "dicomdir"  # marked as images are; it only lists them
PHANTOM_MARK = "phantom.txt"  # at the root of every phantom
PHANTOM_LINE = (
    "synthetic images, made by trainables.data.phantom"  # its first; a file of that name alone proves nothing
)


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One case of a data set: its image, or its two images where the task looks at two.

    `path` is a name that `DataSet.read` understands, relative to the set's root, in posix form ("yes/Y1.jpg",
    "data/train-00000.parquet#17"). `shipped` is the side that the set's own layout or manifest gives it.
    """

    path: str
    label: int
    shipped: Side | None = None
    modality: str = "unknown"
    patient_id: str | None = None
    second_path: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set as its reader found it: cases sorted by path (rows of a table by number), and how to get an image.

    `read` may be called from several threads; it raises OSError for a file that cannot be read. It may remember what
    it has read: then `reopen` gives one that sees the files as they are now. `notes` are sentences for the user about
    what the reader did that is not obvious (files passed over, how pairs were made). `pairing` says in numbers how
    cases of two images were made, where a layout made them.
    """

    root: Path
    records: list[ImageRecord]
    read: Read
    reopen: Callable[[], Read] | None = None
    notes: tuple[str, ...] = ()
    pairing: PairingFacts | None = None


def is_phantom(data_set: DataSet) -> bool:
    """Say whether any image comes from a phantom, however it was named: its models never stand under the real name."""
    paths = {path for record in data_set.records for path in (record.path, record.second_path) if path}
    folders = {data_set.root / parent for parent in {PurePosixPath(path).parent for path in paths}}
    files = {data_set.root / name for path in paths for name in (path, path.rpartition("#")[0])}  # of a row, its table
    links = {file for file in files if file.is_symlink()}
    real = {Path(os.path.realpath(path)) for path in folders | links}  # by a link, or from within a phantom
    above = {one for path in real for one in (path, *path.parents)}
    return any(is_marked(folder) for folder in above)


def is_marked(folder: Path) -> bool:
    """Say whether a folder is the root of a phantom."""
    try:
        with (folder / PHANTOM_MARK).open(encoding="utf-8") as file:
            return file.readline(len(PHANTOM_LINE) + 1).strip() == PHANTOM_LINE
    except (OSError, ValueError):  # no such file, or no text
        return False


def read_below(root: Path) -> Read:
    """Return the `read` of a set whose paths are files below its root."""

    def read(path: str) -> bytes:
        file = root / path
        if not stat.S_ISREG(file.stat().st_mode):  # opening a pipe would wait for ever
            raise OSError(errno.EINVAL, "is no regular file")
        return file.read_bytes()

    return read


def _raise(error: OSError) -> None:
    raise error


def image_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted; hidden ones are passed over, linked folders are followed once.

    A link that leads nowhere is among them, so that it is counted as unreadable. Raises OSError for a folder that
    cannot be looked into.
    """
    return sorted(path for path in visible_files(folder) if is_image(path))


def is_image(path: Path) -> bool:
    """Tell whether a file is an image: by its suffix, else, where that says nothing, by its mark of DICOM."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    return suffix not in OTHER_SUFFIXES and path.name.casefold() != DICOM_INDEX and has_dicom_mark(path)


def has_dicom_mark(path: Path) -> bool:
    """Tell whether a file begins as DICOM does, whatever it is called; False for what cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return is_dicom(file.read(MARK_ENDS_AT))
    except OSError:
        return False


def visible_files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder that is not hidden; see image_files."""
    seen = set()
    for where, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(where, name) for name in names if not name.startswith("."))
        seen.add(real)
