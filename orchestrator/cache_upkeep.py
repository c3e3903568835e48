"""Keep the cache of decoded images within bounds: leftovers of killed sweeps first, then what was unused longest."""

import fcntl
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

DAY_S = 86_400
MIB = 2**20
MAX_CACHE_BYTES = 50 * 2**30


@dataclass(frozen=True)
class CacheEntry:
    """One folder or file of the cache; opening it sets `used_at` (seconds since 1970) anew."""

    path: Path
    size_bytes: int
    used_at: float
    is_leftover: bool


def cache_entries(cache: Path) -> list[CacheEntry]:
    """Return what is in the cache, longest unused first."""
    entries = [_entry(path) for path in _paths(cache)]
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.used_at)


def garbage(cache: Path, max_bytes: int, keep_s: float = DAY_S) -> list[CacheEntry]:
    """Return what has to go so that at most `max_bytes` are held: leftovers, then what was unused longest.

    Nothing that was used within `keep_s`, or that a running sweep holds, is among it.
    """
    entries = cache_entries(cache)
    size_bytes = sum(entry.size_bytes for entry in entries)
    going = []
    for entry in sorted(entries, key=lambda entry: (not entry.is_leftover, entry.used_at)):
        if (entry.is_leftover or size_bytes > max_bytes) and _may_go(entry, keep_s):
            size_bytes -= entry.size_bytes
            going.append(entry)
    return going


def collect_garbage(cache: Path, max_bytes: int, keep_s: float = DAY_S) -> list[CacheEntry]:
    """Remove what `garbage` returns; return what was removed."""
    removed = []
    for entry in garbage(cache, max_bytes, keep_s):
        if not _may_go(entry, keep_s):  # looked up again: a sweep may have begun meanwhile
            continue
        if entry.path.is_dir():
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            entry.path.unlink(missing_ok=True)
        removed.append(entry)
    return removed


@contextmanager
def held(arrays: Iterable[Path]) -> Iterator[None]:
    """Keep cached arrays from being removed while a sweep runs; the system forgets it when the process ends."""
    with ExitStack() as stack:
        for path in arrays:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _may_go(entry: CacheEntry, keep_s: float) -> bool:
    return not _is_held(entry.path) and time.time() - _used_at(entry.path) >= keep_s


def _is_held(entry: Path) -> bool:
    try:
        with (entry / "images.npy").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _paths(cache: Path) -> Iterator[Path]:
    for kind in ("development", "test", "facts", "audits", "shipped", "stored"):
        yield from (cache / kind).glob("*")
    yield from cache.glob("staging-*")


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0


def _entry(path: Path) -> CacheEntry | None:
    try:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        size_bytes = sum(file.stat().st_size for file in files)
        used_at = path.stat().st_mtime
    except FileNotFoundError:  # another sweep finished or removed it meanwhile
        return None
    return CacheEntry(path, size_bytes, used_at, path.name.startswith("staging-") or ".part-" in path.name)
