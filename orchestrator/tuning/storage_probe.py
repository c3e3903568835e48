"""A file in a sweep's storage that the driver and every node write and read: do all have the same one?"""

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.object_store import ObjectStore


class Probe(Protocol):
    """Small texts by name. Both ways raise OSError."""

    @property
    def place(self) -> str:
        """Return the storage."""

    @property
    def way_out(self) -> str:
        """Return what to do where a node does not reach it."""

    def write(self, name: str, words: str) -> None:
        """Write a text."""

    def read(self, name: str) -> str:
        """Return a text."""

    def remove(self) -> None:
        """Remove all of them; what cannot be removed stays."""


def probe_in(storage: Path | ObjectStore) -> Probe:
    """Return a new one. Raises OSError."""
    name = f".probe-{secrets.token_hex(8)}"
    if isinstance(storage, ObjectStore):
        return _StoreProbe(storage.uri, storage.below(name))
    (storage / name).mkdir(parents=True)
    return _FolderProbe(str(storage), storage / name)


@dataclass(frozen=True)
class _FolderProbe:
    place: str
    folder: Path
    way_out: str = "name a folder that every node has at this path, e.g. on NFS"

    def write(self, name: str, words: str) -> None:
        (self.folder / name).write_text(words, encoding="ascii")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="ascii")

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class _StoreProbe:
    place: str
    store: ObjectStore
    way_out: str = "give every node the package of the store, its keys and a way there"

    def write(self, name: str, words: str) -> None:
        self.store.write(name, words.encode())

    def read(self, name: str) -> str:
        content = self.store.read(name)
        if content is None:
            raise FileNotFoundError(f"{name} is not there")
        return content.decode()

    def remove(self) -> None:
        with suppress(OSError):
            self.store.remove(self.store.keys())
