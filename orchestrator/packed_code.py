"""The code of this installation with a sweep's own files as one small zip file: what a cluster is sent."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from orchestrator.errors import BadInput

PACKAGES = ("orchestrator", "trainables", "search_spaces")
MOST_BYTES = 5 * 2**20
MOST_NAMED = 3
NO_CODE = (".pyc", ".pyo", ".part")
SAME_TIME = (1980, 1, 1, 0, 0, 0)  # the same code gives the same bytes, which a cluster is sent once


@dataclass(frozen=True)
class PackedCode:
    """A zip file, and what it holds."""

    path: Path
    files: int
    size_bytes: int


def pack_code(target: Path, own: Mapping[str, bytes]) -> PackedCode:
    """Write this installation's code and a sweep's own files, by their names in it, into a zip file.

    Raises BadInput where that is larger than MOST_BYTES: a job is sent code, no images.
    """
    contents = {name: path.read_bytes() for name, path in _code()} | dict(own)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with ZipFile(part, "w", ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            entry = ZipInfo(name, SAME_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name], ZIP_DEFLATED)
        packed = {entry.filename: entry.compress_size for entry in archive.infolist()}
    size = part.stat().st_size
    if size >= MOST_BYTES:
        part.unlink()
        largest = sorted(packed, key=lambda name: packed[name], reverse=True)[:MOST_NAMED]
        named = ", ".join(f"{name} ({packed[name] / 2**20:.1f} MiB)" for name in largest)
        raise BadInput(
            f"submit: code and sweep files are {size / 2**20:.1f} MiB packed, a job may bring {MOST_BYTES / 2**20:.0f} "
            f"MiB; largest: {named}; move what is no code out of the packages' folders"
        )
    os.replace(part, target)
    return PackedCode(target, len(contents), size)


def _code() -> Iterator[tuple[str, Path]]:
    """Return the files of the packages that run a sweep, by their names below one folder."""
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, f"{package} runs, so it is somewhere"
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            below = path.relative_to(root)
            is_hidden = any(part.startswith(".") or part == "__pycache__" for part in below.parts)
            if path.is_file() and not is_hidden and path.suffix not in NO_CODE:
                yield f"{package}/{below.as_posix()}", path
