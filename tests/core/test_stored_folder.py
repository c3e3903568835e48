"""A folder and its copy in a store: what changed is carried, and a machine that fell behind gets what counts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_support import Buckets, away, buckets_in

from orchestrator.object_store import ObjectStore, StoreFault
from orchestrator.stored_folder import StoredFolder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with buckets_in(tmp_path / "buckets") as found:
        yield found.below("s/trials/0001")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def on(node: str, store: ObjectStore, tmp_path: Path) -> tuple[StoredFolder, Path]:
    folder = tmp_path / node / "0001"
    folder.mkdir(parents=True, exist_ok=True)
    return StoredFolder(store, folder, names), folder


def carried(since: int) -> list[str]:
    """Return which files went to or from the store."""
    lines = [line.split() for line in Buckets.asked[since:]]
    return [f"{what} {path.rpartition('/')[2]}" for what, path in lines if what in ("put", "get", "remove")]


def test_another_machine_goes_on_with_what_the_last_one_put(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    (here / "best").write_bytes(b"best of 1")
    (here / "state_1").write_bytes(b"1")
    first.put()
    second, there = on("b", store, tmp_path)
    second.fetch()
    assert {name: (there / name).read_bytes() for name in names(there)} == {"best": b"best of 1", "state_1": b"1"}
    (there / "state_2").write_bytes(b"2")
    (there / "state_1").unlink()
    since = len(Buckets.asked)
    second.put()
    assert carried(since) == ["put state_2", "remove state_1"]
    assert store.keys() == ["best", "index.json", "state_2"]


def test_what_a_machine_had_before_others_went_on_does_not_count(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    (here / "best").write_bytes(b"best of 1")
    (here / "kept").write_bytes(b"same")
    first.put()
    (here / "best").write_bytes(b"best of 3, never put")
    (here / "state_3").write_bytes(b"3")
    second, there = on("b", store, tmp_path)
    second.fetch()
    (there / "best").write_bytes(b"best of 2")
    (there / "state_2").write_bytes(b"2")
    second.put()
    since = len(Buckets.asked)
    first.fetch()
    assert {name: (here / name).read_bytes() for name in names(here)} == {
        "best": b"best of 2", "kept": b"same", "state_2": b"2",
    }  # fmt: skip
    assert carried(since) == ["get best", "get state_2"]


def test_a_process_that_begins_again_keeps_what_it_had_not_put(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    (here / "state_1").write_bytes(b"1")
    first.put()
    (here / "state_2").write_bytes(b"2")
    with away(), pytest.raises(StoreFault):
        first.put()
    again, _ = on("a", store, tmp_path)
    again.fetch()
    assert names(here) == ["state_1", "state_2"]
    again.put()
    assert store.keys() == ["index.json", "state_1", "state_2"]


def test_a_put_that_was_broken_off_is_taken_up(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, here = on("a", store, tmp_path)
    (here / "best").write_bytes(b"1")
    first.put()
    (here / "best").write_bytes(b"22")
    with monkeypatch.context() as patch, pytest.raises(StoreFault):
        patch.setattr(StoredFolder, "_write_index", lambda *args: (_ for _ in ()).throw(StoreFault("away")))
        first.put()
    first.put()
    second, there = on("b", store, tmp_path)
    second.fetch()
    assert (there / "best").read_bytes() == b"22"


def test_nothing_is_carried_twice(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    (here / "best").write_bytes(b"1")
    first.put()
    since = len(Buckets.asked)
    first.put()
    first.fetch()
    assert carried(since) == []


def test_only_what_is_wanted_comes_and_the_rest_stays_there(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    for name in ("best", "state_1"):
        (here / name).write_bytes(b"1")
    first.put()
    second, there = on("b", store, tmp_path)
    second.fetch(lambda name: name == "best")
    assert names(there) == ["best"]
    (there / "log").write_bytes(b"evaluated")
    second.put()
    assert store.keys() == ["best", "index.json", "log", "state_1"]
    second.fetch()
    assert names(there) == ["best", "log", "state_1"]


def test_what_is_forgotten_is_gone_from_the_store_alone(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    for name in ("best", "state_1"):
        (here / name).write_bytes(b"1")
    first.put()
    first.forget(lambda name: name.startswith("state"))
    assert store.keys() == ["best", "index.json"]
    assert names(here) == ["best", "state_1"]
    first.remove()
    assert store.keys() == []
    first.leave()
    assert not list((tmp_path / "a").iterdir())


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/elsewhere"])
def test_no_file_comes_outside_the_folder(store: ObjectStore, tmp_path: Path, name: str) -> None:
    store.write("index.json", json.dumps({"mark": "a", "files": {name: "a"}}).encode())
    folder, _ = on("a", store, tmp_path)
    with pytest.raises(StoreFault, match="names a file outside its folder"):
        folder.fetch()


def test_a_damaged_note_costs_only_the_carrying(store: ObjectStore, tmp_path: Path) -> None:
    first, here = on("a", store, tmp_path)
    (here / "best").write_bytes(b"1")
    first.put()
    (tmp_path / "a" / ".0001.stored").write_text("{")
    first.fetch()
    assert (here / "best").read_bytes() == b"1"
