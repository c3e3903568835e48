"""A folder of this machine and its copy in an object store, of which only what changed is carried."""

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator.object_store import ObjectStore, StoreFault

INDEX = "index.json"


@dataclass
class _Known:
    """Which files there are, each with the mark of the put that brought it; `mark` is the last put's.

    `sizes_and_times`: of the copies on this machine when they were like those in the store.
    """

    mark: str = ""
    files: dict[str, str] = field(default_factory=dict)
    sizes_and_times: dict[str, list[int]] = field(default_factory=dict)


class StoredFolder:
    """One process at a time puts; others fetch, now or after it died.

    `names` lists which files of a folder are carried, in the order in which they are put. The store counts where
    another machine has put since this one did. Where none has, this folder may be ahead, and is left as it is. All
    methods raise StoreFault.
    """

    def __init__(self, store: ObjectStore, folder: Path, names: Callable[[Path], list[str]]) -> None:
        self._store, self._folder, self._names = store, folder, names
        self._note = folder.parent / f".{folder.name}.stored"  # beside it: the folder is shown to users as it is

    def fetch(self, is_wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Bring what is missing here; where the store counts, what it has otherwise or not at all goes first."""
        there, here = self._index(), self._noted()
        if there.mark != here.mark:
            for name in self._names(self._folder):
                if here.files.get(name) != there.files.get(name, "") or self._is_changed(name, here):
                    (self._folder / name).unlink()
            here.files = {name: mark for name, mark in here.files.items() if (self._folder / name).is_file()}
        for name, mark in there.files.items():
            path = self._folder / name
            if is_wanted(name) and not path.is_file():
                self._store.get(name, path)
                here.files[name], here.sizes_and_times[name] = mark, _size_and_time(path)
                self._write_note(here)
        here.mark = there.mark
        self._write_note(here)

    def put(self) -> None:
        """Let the store have the files as they are; those that were here and are gone go there too."""
        there, here = self._index(), self._noted()
        mark, files, names = secrets.token_hex(8), dict(there.files), self._names(self._folder)
        for name in names:
            if here.files.get(name, "") == there.files.get(name) and not self._is_changed(name, here):
                continue
            before = _size_and_time(self._folder / name)  # one that grows meanwhile is put once more
            self._store.put(self._folder / name, name)
            files[name], here.files[name], here.sizes_and_times[name] = mark, mark, before
        gone = here.files.keys() - set(names)
        for name in gone:
            files.pop(name, None)
            del here.files[name]
        if files != there.files:
            self._write_index(_Known(mark, files))
            here.mark = mark
            self._write_note(here)
            self._store.remove([name for name in gone if name in there.files])

    def forget(self, is_doomed: Callable[[str], bool]) -> None:
        """Remove files from the store; those of this machine are somebody else's business."""
        there = self._index()
        doomed = [name for name in there.files if is_doomed(name)]
        if doomed:
            left = {name: mark for name, mark in there.files.items() if name not in doomed}
            self._write_index(_Known(secrets.token_hex(8), left))
            self._store.remove(doomed)

    def remove(self) -> None:
        """Remove it from the store, whole."""
        self._store.remove([*self._index().files, INDEX])

    def leave(self) -> None:
        """Remove it from this machine, whole."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._note.unlink(missing_ok=True)

    def _is_changed(self, name: str, here: _Known) -> bool:
        return here.sizes_and_times.get(name) != _size_and_time(self._folder / name)

    def _index(self) -> _Known:
        index = _read(self._store.read(INDEX))
        for name in index.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise StoreFault(f"{self._store.uri}/{INDEX}: names a file outside its folder, {name}; remove it")
        return index

    def _write_index(self, index: _Known) -> None:
        content = {"mark": index.mark, "files": index.files}
        self._store.write(INDEX, json.dumps(content, indent=1).encode())

    def _noted(self) -> _Known:
        return _read(self._note.read_bytes() if self._note.is_file() else None)

    def _write_note(self, here: _Known) -> None:
        content = {"mark": here.mark, "files": here.files, "sizes_and_times": here.sizes_and_times}
        self._note.parent.mkdir(parents=True, exist_ok=True)
        part = self._note.with_name(self._note.name + ".part")
        part.write_text(json.dumps(content))
        part.replace(self._note)


def _read(content: bytes | None) -> _Known:
    """Return what is noted; nothing where a crash damaged the note: then all is carried once more."""
    try:
        found: dict[str, Any] = json.loads(content or b"{}")
        return _Known(**found)
    except (ValueError, TypeError):
        return _Known()


def _size_and_time(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]
