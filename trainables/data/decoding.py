"""Files of a data set -> grey squares of every wanted size and the facts of each file, on all cores."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.audit.facts import ImageFacts, measure
from trainables.data.images import UnreadableImage, decode_grey
from trainables.data.records import Read
from trainables.data.views import View
from trainables.errors import DataError

Progress = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True)
class DecodedImages:
    """Every image of a set, decoded.

    `arrays` (view -> images_NHW.npy) have a row per path; rows of unreadable images are black.
    """

    facts: list[ImageFacts | None]
    unreadable: dict[int, str]
    arrays: dict[View, Path]
    unreadable_sha256s: dict[int, str]  # of the bytes that could not be decoded; none where the disk gave no bytes


@contextmanager
def staging_folder(cache: Path) -> Iterator[Path]:
    """Yield an empty folder for decoded images on their way into the cache; it is gone afterwards."""
    folder = cache / f"staging-{os.getpid()}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def decode_images(
    read: Read, paths: Sequence[str], views: Sequence[View], folder: Path, progress: Progress
) -> DecodedImages:
    """Decode every file once and write it in every view below `folder`. Raises DataError where the disk is too full."""
    _require_space(folder, len(paths) * sum(view.side_px**2 for view in views))
    arrays = {view: folder / f"{view.name}.npy" for view in views}
    slices = {
        view: np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(paths), view.side_px, view.side_px))
        for view, path in arrays.items()
    }
    facts: list[ImageFacts | None] = [None] * len(paths)
    unreadable_sha256s: dict[int, str] = {}

    def fill(row: int) -> str | None:
        try:
            content = read(paths[row])
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        try:
            slice_HW = decode_grey(content)
            facts[row] = measure(content, slice_HW)
        except UnreadableImage as error:
            unreadable_sha256s[row] = hashlib.sha256(content).hexdigest()
            return str(error)
        for view, array_NHW in slices.items():
            array_NHW[row] = view.square(slice_HW)
        return None

    unreadable = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, reason in enumerate(pool.map(fill, range(len(paths)))):
            if reason is not None:
                unreadable[row] = reason
            progress("decoding", row + 1, len(paths))
    for array_NHW in slices.values():
        array_NHW.flush()
    return DecodedImages(facts, unreadable, arrays, unreadable_sha256s)


def _require_space(folder: Path, decoded_bytes: int) -> None:
    """Writing to a memory map on a full disk kills the process without a word, so room is made sure of first."""
    needed_bytes = 2 * decoded_bytes  # staged, and in the cache
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes * 1.1 > free_bytes:
        raise DataError(
            f"decoded images need {needed_bytes / 2**20:.0f} MiB below {folder.parent}, "
            f"{free_bytes / 2**20:.0f} MiB are free; free some with: orchestrate gc"
        )
