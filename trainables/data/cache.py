"""Decoded images and their facts on disk, by content: memory-mapped arrays that every trial of a node shares.

    <cache>/facts/<key>/{facts.json, thumbnails.npy}     whole sets, for the audit
    <cache>/{development,test}/<key>/images.npy          images_NHW of one size; search is only ever given the first

Folders appear by rename, so two sweeps at once never see half a cache: the second to finish drops its own.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from trainables.audit.facts import FACTS_VERSION, THUMBNAIL_PX, ImageFacts
from trainables.data.decoding import DecodedImages, Progress, decode_images
from trainables.data.images import BRAIN_THRESHOLD, RECIPE
from trainables.data.records import Part, Read
from trainables.data.views import View
from trainables.errors import DataError

ROWS_PER_COPY = 4096
THUMBNAIL = View(THUMBNAIL_PX)
UNREADABLE = "unreadable"  # begins what stands for the digest of a file that cannot be read


@dataclass(frozen=True)
class KnownImages:
    """What the cache knows of a set's images, in the order of its paths; `staged` holds them decoded, if just done."""

    facts: list[ImageFacts | None]
    unreadable: dict[int, str]
    thumbnails_NHW: np.ndarray
    staged: DecodedImages | None


@dataclass(frozen=True)
class _SavedFacts:
    facts: list[ImageFacts | None]
    unreadable: dict[int, str]


_SAVED = TypeAdapter(_SavedFacts)


def open_images(path: Path) -> np.ndarray:
    """Return images_NHW (uint8), memory-mapped: one copy in memory for all processes, writes never reach the file."""
    mark_as_used(path.parent)
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def open_cases(path: Path, num_cases: int) -> np.ndarray:
    """Return images_NMHW as `open_images`: the images of one case follow each other in the file."""
    images = open_images(path)
    return images.reshape(num_cases, -1, *images.shape[1:])


def mark_as_used(folder: Path) -> None:
    """Set the time that `orchestrate gc` goes by: it removes what has not been used for long."""
    with suppress(OSError):  # a cache on a read-only disk is used all the same
        os.utime(folder)


def digest_file(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_images(read: Read, paths: Sequence[str], progress: Progress) -> list[str]:
    """Return each file's SHA-256, read on all cores; one that cannot be read gets a word instead."""

    def digest(path: str) -> str:
        try:
            return hashlib.sha256(read(path)).hexdigest()
        except OSError as error:
            return f"{UNREADABLE}: {error.strerror or error}"  # decoding will say so, and count it

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = []
        for value in pool.map(digest, paths):
            digests.append(value)
            progress("hashing", len(digests), len(paths))
    return digests


def know_images(
    cache: Path,
    read: Read,
    paths: Sequence[str],
    digests: Sequence[str],
    views: Sequence[View],
    staging: Path,
    progress: Progress,
) -> KnownImages:
    """Return facts and thumbnails of every image: from the cache, else by decoding the set into `staging`."""
    folder = cache / "facts" / _key(digests, THUMBNAIL, f"facts-{FACTS_VERSION}")
    found = _identity(folder)
    with suppress(OSError, ValueError):  # not there yet, or damaged
        known = _load_facts(folder)
        if len(known.facts) == len(known.thumbnails_NHW) == len(paths):
            mark_as_used(folder)
            return known
    _remove_damaged(folder, found)
    staged = decode_images(read, paths, sorted({*views, THUMBNAIL}), staging, progress)
    require_as_hashed(
        paths, digests, staged, [row for row in range(len(paths)) if not _same_fault(digests, staged, row)]
    )
    thumbnails_NHW = np.array(np.load(staged.arrays[THUMBNAIL], mmap_mode="r", allow_pickle=False))
    _place(folder, lambda part: _write_facts(part, staged))
    return KnownImages(staged.facts, staged.unreadable, thumbnails_NHW, staged)


def _same_fault(digests: Sequence[str], staged: DecodedImages, row: int) -> bool:
    """Tell whether a row could not be decoded, but was as bad when it was hashed: then the fault belongs to its key."""
    unread = digests[row].startswith(UNREADABLE)
    return staged.facts[row] is None and (unread or staged.unreadable_sha256s.get(row) == digests[row])


def require_as_hashed(paths: Sequence[str], digests: Sequence[str], staged: DecodedImages, rows: Iterable[int]) -> None:
    """Raise DataError where a row was not decoded from the bytes of its digest: in the cache it would stay wrong."""
    for row in rows:
        facts = staged.facts[row]
        if facts is None or facts.sha256 != digests[row]:
            what = staged.unreadable.get(row, "changed")
            raise DataError(f"{paths[row]}: {what} while the set was read; try again when nothing writes to it")


def part_folder(cache: Path, part: Part, digests: Sequence[str], view: View) -> Path:
    """Return where the images of these digests are, or will be, in one view."""
    return cache / part / _key(digests, view)


def write_part(folder: Path, source: Path, rows: Sequence[int]) -> None:
    """Put some rows of a staged array into the cache."""

    def write(part: Path) -> None:
        staged_NHW = np.load(source, mmap_mode="r", allow_pickle=False)
        shape = (len(rows), *staged_NHW.shape[1:])
        chosen_NHW = np.lib.format.open_memmap(part / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, len(rows), ROWS_PER_COPY):
            chosen_NHW[start : start + ROWS_PER_COPY] = staged_NHW[list(rows[start : start + ROWS_PER_COPY])]
        chosen_NHW.flush()

    _place(folder, write)


def is_whole(folder: Path, num_images: int, side_px: int) -> bool:
    """Tell whether a cached part can be opened and has the right shape; a damaged one is removed."""
    found = _identity(folder)
    with suppress(OSError, ValueError):
        mapped_NHW = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        if mapped_NHW.shape == (num_images, side_px, side_px):
            mark_as_used(folder)
            return True
    _remove_damaged(folder, found)
    return False


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one in its place (a number alone is soon given out again)."""
    with suppress(OSError):
        status = folder.stat()
        return status.st_ino, status.st_ctime_ns
    return None


def _remove_damaged(folder: Path, found: tuple[int, int] | None) -> None:
    """Remove what was looked at, but never what another sweep has placed there since."""
    if found is None or _identity(folder) != found:
        return
    aside = folder.with_name(f"{folder.name}.part-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _load_facts(folder: Path) -> KnownImages:
    saved = _SAVED.validate_json((folder / "facts.json").read_bytes())
    thumbnails_NHW = np.load(folder / "thumbnails.npy", mmap_mode="r", allow_pickle=False)
    return KnownImages(saved.facts, saved.unreadable, thumbnails_NHW, None)


def _write_facts(part: Path, decoded: DecodedImages) -> None:
    shutil.copyfile(decoded.arrays[THUMBNAIL], part / "thumbnails.npy")
    (part / "facts.json").write_bytes(_SAVED.dump_json(_SavedFacts(decoded.facts, decoded.unreadable)))


def _key(digests: Sequence[str], view: View, *more: str) -> str:
    """Name content, view and recipe: anything that would give other pixels gives another name."""
    content = hashlib.sha256("\n".join(digests).encode()).hexdigest()[:24]
    crop = [] if view.crop_margin_px is None else [f"brain above {BRAIN_THRESHOLD}, {view.crop_margin_px} px around it"]
    recipe = hashlib.sha256(json.dumps([RECIPE, *more, *crop], sort_keys=True).encode()).hexdigest()[:8]
    return f"{content}-{view.side_px}px-{RECIPE['mode']}-{recipe}"


def _place(folder: Path, write: Callable[[Path], None]) -> None:
    part = folder.with_name(f"{folder.name}.part-{secrets.token_hex(4)}")
    part.mkdir(parents=True)
    try:
        write(part)
        part.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another sweep finished the same images first
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
