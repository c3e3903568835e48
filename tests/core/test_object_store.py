"""Files in an object store, and what is said where there is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_support import Buckets, away, buckets_in

from orchestrator.cli.sweep_flags import storage_of
from orchestrator.errors import BadInput
from orchestrator.object_store import ObjectStore, StoreFault, patiently


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with buckets_in(tmp_path / "buckets") as found:
        yield found


def test_files_come_back_as_they_were_put(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    store.put(tmp_path / "weights", "one/weights")
    store.write("one/note", b"n")
    store.get("one/weights", tmp_path / "there" / "weights")
    assert (tmp_path / "there" / "weights").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["weights"]
    assert store.keys() == ["one/note", "one/weights"]
    assert store.below("one").read_all(["weights", "note"]) == [b"abc", b"n"]
    store.remove(["one/note", "one/never"])
    assert store.read("one/note") is None
    assert store.keys("two") == []


def test_a_broken_transfer_leaves_no_file(store: ObjectStore, tmp_path: Path) -> None:
    store.write("file", b"x")
    with away(), pytest.raises(StoreFault, match="cannot be reached"):
        store.get("file", tmp_path / "here" / "file")
    assert not list((tmp_path / "here").iterdir())


def test_a_store_that_can_be_used_is_taken_and_left_clean(store: ObjectStore) -> None:
    assert storage_of("s3://lab/sweeps/") == store
    assert store.keys() == []


class NoCredentialsError(Exception):
    """Named as botocore's."""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NoCredentialsError("Unable to locate credentials"), "no keys were found; set those of the store"),
        (PermissionError("Access Denied"), r"the store refuses it \(Access Denied\); give this user's keys the right"),
        (ConnectionError("no route"), r"cannot be reached \(no route\); look at the network"),
        (OSError("bad\nthing"), "bad$"),
    ],
)
def test_a_store_that_does_not_do_what_is_asked_is_told_in_one_line(
    store: ObjectStore, fault: Exception, words: str
) -> None:
    with away(fault), pytest.raises(BadInput, match=f"^--storage s3://lab/sweeps: {words}"):
        storage_of("s3://lab/sweeps")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("s3://another/sweeps", "there is no such bucket; make it"),
        ("gs://lab/sweeps", r"needs a_package_that_nobody_has: pip install .*'\.\[gs\]'"),
        ("memory://lab", "memory:// is no store for sweeps; name a shared folder, or s3://bucket/prefix"),
        ("ftp://lab", "ftp:// is no store for sweeps"),
        ("s3://", "expected s3://bucket/prefix"),
        ("s3://lab/a?b", "expected s3://bucket/prefix"),
        ("/not/here", "no such folder"),
    ],
)
def test_a_storage_that_cannot_be_is_refused(store: ObjectStore, value: str, words: str) -> None:
    with pytest.raises(BadInput, match=f"--storage {value.replace('?', '.')}: {words}"):
        storage_of(value)


def test_one_that_forgets_what_was_written_is_refused(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Buckets, "find", lambda *args, **kwargs: [])
    with pytest.raises(BadInput, match="what was written cannot be read back"):
        storage_of("s3://lab/sweeps")


def test_who_can_wait_tries_again(store: ObjectStore) -> None:
    answers = iter([StoreFault("away"), StoreFault("away"), None])

    def act() -> str:
        answer = next(answers)
        if answer is not None:
            raise answer
        return "done"

    assert patiently(act, 1000.0) == "done"
    with pytest.raises(StoreFault), away():
        patiently(lambda: store.read("x"), 0.0)
