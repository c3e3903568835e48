"""Images that the driver has reach a node once, whole or not at all."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.tuning import shipping
from orchestrator.tuning.shipping import DriverFiles, on_this_node
from trainables.errors import DataError

CONTENT = bytes(range(256)) * 40


class Calls:
    """Stands for the actor: calls are made at once and counted; `path` is where the driver's file really is."""

    def __init__(self, path: Path) -> None:
        self._path, self.chunks = path, 0

    @property
    def size_bytes(self) -> Any:
        return SimpleNamespace(remote=lambda path: DriverFiles().size_bytes(self._path))

    @property
    def chunk(self) -> Any:
        return SimpleNamespace(remote=self._chunk)

    def _chunk(self, path: Path, offset: int) -> bytes:
        self.chunks += 1
        return DriverFiles().chunk(self._path, offset)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    (tmp_path / "driver").mkdir()
    path = tmp_path / "driver" / "images.npy"
    path.write_bytes(CONTENT)
    calls = Calls(path)
    monkeypatch.setattr(shipping, "driver_files", lambda: calls)
    monkeypatch.setattr(shipping, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(shipping.ray, "get", lambda value: value)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "node"))
    return calls


ELSEWHERE = Path("/not/here/development/key/images.npy")
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_a_node_fetches_images_once_whoever_asks(files: Calls, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as trials:
        found = list(trials.map(lambda n: on_this_node(ELSEWHERE, DIGEST), range(3)))
    assert len(set(found)) == 1
    assert found[0].read_bytes() == CONTENT
    assert found[0].is_relative_to(tmp_path / "node" / "cache")
    assert files.chunks == -(-len(CONTENT) // 1000)


def test_what_is_there_is_used_where_it_is(files: Calls, tmp_path: Path) -> None:
    assert on_this_node(tmp_path / "driver" / "images.npy", DIGEST) == tmp_path / "driver" / "images.npy"
    assert files.chunks == 0


def test_other_images_than_planned_are_refused_and_leave_nothing(files: Calls, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the decoded images that reached .* are others"):
        on_this_node(ELSEWHERE, "0" * 64)
    assert not [path for path in (tmp_path / "node").rglob("*") if path.suffix in (".npy", ".part")]


def test_a_full_disk_is_told_before_anything_is_copied(
    files: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shipping.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        on_this_node(ELSEWHERE, DIGEST)
    assert files.chunks == 0
    assert not list((tmp_path / "node").rglob("*.part"))


def test_images_that_were_fetched_count_as_cache(files: Calls, tmp_path: Path) -> None:
    from orchestrator.cache_upkeep import cache_entries

    target = on_this_node(ELSEWHERE, DIGEST)
    assert [entry.path for entry in cache_entries(tmp_path / "node" / "cache")] == [target.parent]
