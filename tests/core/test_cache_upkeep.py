import os
import shutil
import time
from pathlib import Path

import pytest

from orchestrator.cache_upkeep import DAY_S, cache_entries, collect_garbage, held
from orchestrator.cli.environment import max_cache_bytes
from orchestrator.errors import BadInput
from trainables.data.cache import mark_as_used


def put(cache: Path, name: str, size_bytes: int, unused_days: float) -> Path:
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "images.npy").write_bytes(b"\0" * size_bytes)
    used_at = time.time() - unused_days * DAY_S
    os.utime(folder, (used_at, used_at))
    return folder


def test_the_longest_unused_goes_first_and_only_as_much_as_needed(tmp_path: Path) -> None:
    old, older = put(tmp_path, "development/a", 1000, 3), put(tmp_path, "test/b", 1000, 5)
    new = put(tmp_path, "facts/c", 1000, 2)
    assert [entry.path for entry in cache_entries(tmp_path)] == [older, old, new]
    assert [entry.path for entry in collect_garbage(tmp_path, 2000)] == [older]
    assert collect_garbage(tmp_path, 2000) == []


def test_leftovers_go_whatever_the_bound_and_what_is_in_use_never(tmp_path: Path) -> None:
    killed = put(tmp_path, "staging-123-abc", 10, 2)
    half = put(tmp_path, "development/a.part-12ab", 10, 2)
    now, running = put(tmp_path, "development/b", 5000, 0.5), put(tmp_path, "staging-9-ab", 10, 0.1)
    assert {entry.path for entry in collect_garbage(tmp_path, 0)} == {killed, half}
    assert now.is_dir()
    assert running.is_dir()


def test_an_empty_home_has_no_garbage(tmp_path: Path) -> None:
    assert collect_garbage(tmp_path / "nowhere", 0) == []


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("0", 0), ("20GiB", 20 * 2**30), ("500 MB", 500 * 2**20), ("1.5k", 1536), ("2T", 2**41)]
)
def test_sizes_are_read(text: str, size_bytes: int) -> None:
    assert max_cache_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "1 GiBi", "9" * 400 + "GiB"])
def test_a_wrong_size_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="expected a size such as 20GiB"):
        max_cache_bytes(text)
    monkeypatch.setenv("ORCHESTRATE_MAX_CACHE", text or "none")
    with pytest.raises(BadInput, match=r"^ORCHESTRATE_MAX_CACHE=.{0,40}: expected a size"):
        max_cache_bytes()


def test_what_a_running_sweep_holds_stays_however_long_it_runs(tmp_path: Path) -> None:
    array = put(tmp_path, "test/a", 1000, 9) / "images.npy"
    with held([array]):
        assert collect_garbage(tmp_path, 0) == []
    assert [entry.path for entry in collect_garbage(tmp_path, 0)] == [array.parent]


def test_what_a_sweep_takes_up_while_others_are_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = put(tmp_path, "test/a", 1000, 9), put(tmp_path, "test/b", 1000, 8)
    remove = shutil.rmtree
    monkeypatch.setattr("shutil.rmtree", lambda path, **how: (mark_as_used(second), remove(path, **how)))
    assert [entry.path for entry in collect_garbage(tmp_path, 0)] == [first]
    assert (second / "images.npy").is_file()
