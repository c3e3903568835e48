"""Buckets in a folder of this machine, by the addresses of an object store; and what keeps one from answering."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.local import LocalFileSystem

from orchestrator import object_store as module
from orchestrator.object_store import ObjectStore


class Buckets(LocalFileSystem):
    """Each folder of `root` is a bucket; `fault` is raised by whatever is asked."""

    protocol = "s3"
    cachable = False
    root: ClassVar[Path] = Path()
    fault: ClassVar[Exception | None] = None
    asked: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        path = str(path).removeprefix("s3://")
        return (path if path.startswith("/") else f"{cls.root}/{path}").rstrip("/")

    def _meet(self, what: str, path: str, writes: bool = False) -> Path:
        if self.fault is not None:
            raise self.fault
        place = Path(self._strip_protocol(path))
        self.asked.append(f"{what} {place.relative_to(self.root).as_posix()}")
        if writes:
            bucket = self.root / place.relative_to(self.root).parts[0]
            if not bucket.is_dir():
                raise FileNotFoundError("The specified bucket does not exist")
            place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def cat_file(self, path: str, **kwargs: Any) -> bytes:
        return self._meet("read", path).read_bytes()

    def cat(self, path: list[str], **kwargs: Any) -> dict[str, bytes]:  # type: ignore[override]
        return {one: self.cat_file(one) for one in path}

    def pipe_file(self, path: str, value: bytes, **kwargs: Any) -> None:
        self._meet("write", path, writes=True).write_bytes(value)

    def put_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        shutil.copyfile(path1, self._meet("put", path2, writes=True))

    def get_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        shutil.copyfile(self._meet("get", path1), path2)

    def rm_file(self, path: str) -> None:
        self._meet("remove", path).unlink()

    def find(self, path: str, **kwargs: Any) -> list[str]:  # type: ignore[override]
        place = self._meet("list", path)
        return [str(one) for one in place.rglob("*") if one.is_file()]


@contextmanager
def buckets_in(root: Path) -> Iterator[ObjectStore]:
    """Let s3:// be a folder's buckets, of which there is one; return a store in it."""
    (root / "lab").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(import_module("fsspec.registry").__dict__["_registry"], "s3", Buckets)
        patch.setattr(Buckets, "root", root)
        patch.setattr(Buckets, "asked", [])
        patch.setattr(module, "PACKAGES", {"s3": "fsspec", "gs": "a_package_that_nobody_has"})
        patch.setattr(module, "AGAIN_S", 0.0)
        yield ObjectStore("s3://lab/sweeps")


@contextmanager
def away(fault: Exception | None = None) -> Iterator[None]:
    """Let no bucket answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Buckets, "fault", fault or ConnectionError("Could not connect to the endpoint URL"))
        yield
