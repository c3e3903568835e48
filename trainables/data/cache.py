"""Images decoded once into memory-mapped uint8 arrays that every trial of a node shares."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.data.images import RECIPE, UnreadableImage, decode_grey, resize_square
from trainables.errors import DataError

Progress = Callable[[str, int, int], None]  # what, done, of


@dataclass(frozen=True)
class DecodedPart:
    """One part of a data set, decoded: `rows` are the indices of the readable files, in the arrays' order."""

    rows: list[int]
    unreadable: dict[int, str]
    arrays: dict[int, Path]  # side_px -> images_NHW.npy


def open_images(path: Path) -> np.ndarray:
    """Return images_NHW (uint8), memory-mapped: one copy in memory for all processes, writes never reach the file."""
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def digest_files(paths: Sequence[Path], progress: Progress) -> list[str]:
    """Return each file's SHA-256, read on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = []
        for digest in pool.map(_digest, paths):
            digests.append(digest)
            progress("hashing", len(digests), len(paths))
    return digests


def decode_part(
    paths: Sequence[Path], digests: Sequence[str], sides_px: Sequence[int], folder: Path, progress: Progress
) -> DecodedPart:
    """Decode the files once per size into `folder`; what an earlier sweep decoded is taken from there.

    Whole folders appear by rename, so two sweeps at once cannot see half a cache: the second to finish drops its own.
    """
    folders = {side_px: folder / _key(digests, side_px) for side_px in sides_px}
    missing = [side_px for side_px, target in folders.items() if not (target / "images.npy").is_file()]
    if missing:
        _require_space(folder, len(paths) * sum(side_px**2 for side_px in missing))
        _decode(paths, {side_px: folders[side_px] for side_px in missing}, progress)
    meta = json.loads((folders[sides_px[0]] / "meta.json").read_text())
    unreadable = {int(row): reason for row, reason in meta["unreadable"].items()}
    return DecodedPart(
        rows=[row for row in range(len(paths)) if row not in unreadable],
        unreadable=unreadable,
        arrays={side_px: target / "images.npy" for side_px, target in folders.items()},
    )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"  # decoding will say so, and count it


def _require_space(folder: Path, needed_bytes: int) -> None:
    """Writing to a memory map on a full disk kills the process without a word, so room is made sure of first."""
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes * 1.1 > free_bytes:
        raise DataError(
            f"decoded images need {needed_bytes / 2**20:.0f} MiB below {folder}, {free_bytes / 2**20:.0f} MiB are free"
        )


def _key(digests: Sequence[str], side_px: int) -> str:
    content = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:24]
    return f"{content}-{side_px}px-{RECIPE}"


def _decode(paths: Sequence[Path], targets: dict[int, Path], progress: Progress) -> None:
    tail = f".part-{secrets.token_hex(4)}"
    parts = {side_px: target.with_name(target.name + tail) for side_px, target in targets.items()}
    for part in parts.values():
        part.mkdir(parents=True)
    unreadable: dict[int, str] = {}
    slices = {
        side_px: np.lib.format.open_memmap(
            part / "decoding.npy", mode="w+", dtype=np.uint8, shape=(len(paths), side_px, side_px)
        )
        for side_px, part in parts.items()
    }

    def fill(row: int) -> str | None:
        try:
            slice_HW = decode_grey(paths[row].read_bytes())
        except UnreadableImage as error:
            return str(error)
        except OSError as error:
            return error.strerror or type(error).__name__
        for side_px, array_NHW in slices.items():
            array_NHW[row] = resize_square(slice_HW, side_px)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, reason in enumerate(pool.map(fill, range(len(paths)))):
            if reason is not None:
                unreadable[row] = reason
            progress("decoding", row + 1, len(paths))
    readable = [row for row in range(len(paths)) if row not in unreadable]
    for side_px, part in parts.items():
        _finish(part, targets[side_px], slices[side_px], readable, unreadable)


def _finish(part: Path, target: Path, decoded_NHW: np.ndarray, readable: list[int], unreadable: dict[int, str]) -> None:
    if unreadable:
        np.save(part / "images.npy", decoded_NHW[readable])
        (part / "decoding.npy").unlink()
    else:
        assert isinstance(decoded_NHW, np.memmap)
        decoded_NHW.flush()
        (part / "decoding.npy").rename(part / "images.npy")
    (part / "meta.json").write_text(json.dumps({"images": len(readable), "unreadable": unreadable}))
    try:
        part.rename(target)
    except OSError:
        if not target.is_dir():  # else another sweep finished the same cache first
            raise
        shutil.rmtree(part)
