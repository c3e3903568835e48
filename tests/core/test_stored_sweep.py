"""What the driver sends to an object store, and how another machine, or this one, goes on."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from bucket_support import Buckets, away, buckets_in
from sweep_support import begin, make_plan, started

from orchestrator.cli import remove
from orchestrator.errors import BadInput, Interrupted
from orchestrator.home import Home
from orchestrator.journal import SweepEnded
from orchestrator.object_store import ObjectStore
from orchestrator.open_sweep import JOURNAL, Notice, opened
from orchestrator.stored_sweep import (
    adopt_stored_sweep,
    begin_storing,
    check_storage,
    go_on_storing,
    sending,
    stored_at,
)  # fmt: skip
from orchestrator.sweep_lock import Owner
from orchestrator.sweep_request import SweepRequest, keep_request, read_request


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ObjectStore]:
    with buckets_in(tmp_path / "buckets") as found:
        yield found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.stored_sweep.PATIENCE_S", 0.0)


def run(home: Home, storage: ObjectStore, sweep_id: str = "one") -> list[str]:
    """Run a sweep of one trial, and return what was told."""
    told: list[str] = []
    folder = home.new_sweep("stroke", sweep_id)
    keep_request(folder, SweepRequest(name="stroke_hybrid", home=home, seed=5), Path("/images"))
    with opened(folder, lambda event, state: told.append(event.text) if isinstance(event, Notice) else None) as sweep:
        sweep.append(started(make_plan(), sweep_id))
        with sending(sweep, begin_storing(folder, storage)):
            assert storage.below(sweep_id).read("owner.json") is not None
            begin(sweep, 0)
            sweep.append(SweepEnded(state="interrupted", reason="by the user"))
    return told


def test_another_machine_goes_on_with_it(tmp_path: Path, storage: ObjectStore) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "other")
    assert run(home, storage) == []
    assert storage.below("one").read("owner.json") is None
    adopt_stored_sweep(other, "one", storage)
    there = other.sweep_folder("one")
    assert (there / JOURNAL).read_bytes() == (home.sweep_folder("one") / JOURNAL).read_bytes()
    request = read_request(there)
    assert request is not None and request.seed == 5
    assert stored_at(there) == storage.below("one")
    adopt_stored_sweep(other, "one", storage)

    with opened(there, lambda event, state: None) as sweep, sending(sweep, go_on_storing_unlocked(there)):
        begin(sweep, 1)
    go_on_storing(home.sweep_folder("one"))
    assert (there / JOURNAL).read_bytes() == (home.sweep_folder("one") / JOURNAL).read_bytes()


def go_on_storing_unlocked(folder: Path):
    """Return what a resumed sweep sends with, from within its lock."""
    from orchestrator.stored_journal import brought_up_to_date
    from orchestrator.stored_sweep import StoredSweep

    store = stored_at(folder)
    assert store is not None
    return StoredSweep(store, folder, brought_up_to_date(store, folder / JOURNAL))


def test_a_store_that_is_away_is_told_of_once_and_gets_the_rest_later(tmp_path: Path, storage: ObjectStore) -> None:
    home, told = Home(tmp_path / "home"), []
    folder = home.new_sweep("stroke", "one")
    with opened(folder, lambda event, state: told.append(event.text) if isinstance(event, Notice) else None) as sweep:
        sweep.append(started(make_plan(), "one"))
        with away(), sending(sweep, begin_storing(folder, storage)):
            assert sweep.stored is not None
            begin(sweep, 0)
            for _ in range(3):
                sweep.stored.send(sweep.tell)
            with pytest.raises(Interrupted, match="storage s3://lab/sweeps/one: cannot be reached"):
                sweep.stored.put_inputs([folder / JOURNAL])
    assert len(told) == 2, told
    assert "cannot be reached" in told[0] and "the sweep goes on" in told[0]
    assert "lacks the last 3 lines of the journal; orchestrate resume one on this machine sends them" in told[1]
    asked = len(Buckets.asked)
    sweep.stored.end(told.append, is_waiting=True)
    assert len(Buckets.asked) == asked, "who waits for no answer asks nothing"
    assert told.pop() == told[-1]
    go_on_storing(folder)
    other = Home(tmp_path / "other")
    adopt_stored_sweep(other, "one", storage)
    assert (other.sweep_folder("one") / JOURNAL).read_bytes() == (folder / JOURNAL).read_bytes()


def test_one_that_another_machine_runs_is_left_alone(tmp_path: Path, storage: ObjectStore) -> None:
    home = Home(tmp_path / "home")
    run(home, storage)
    store = storage.below("one")
    store.write("owner.json", json.dumps(asdict(Owner(7, "another", time.time()))).encode())
    for act in (lambda: go_on_storing(home.sweep_folder("one")), lambda: removed(home)):
        with pytest.raises(BadInput, match="one: is run by process 7 on another; wait for it"):
            act()
    store.write("owner.json", json.dumps(asdict(Owner(7, "another", time.time() - 300))).encode())
    go_on_storing(home.sweep_folder("one"))


def removed(home: Home) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHESTRATE_HOME", str(home.root))
        remove.remove(["one"], yes=True)


def test_removing_it_removes_it_from_the_store(tmp_path: Path, storage: ObjectStore) -> None:
    home = Home(tmp_path / "home")
    run(home, storage)
    run(home, storage, "two")
    with away(), pytest.raises(BadInput, match="cannot be reached"):
        removed(home)
    removed(home)
    assert not [key for key in storage.keys() if not key.startswith("two/")]
    assert [folder.name for folder in home.sweep_folders()] == ["two"]


def test_what_the_storage_has_not_or_has_already_is_said(tmp_path: Path, storage: ObjectStore) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "other")
    with pytest.raises(BadInput, match="--storage s3://lab/sweeps: has no sweep one; look at its name"):
        adopt_stored_sweep(other, "one", storage)
    run(home, storage)
    asked = SweepRequest(name="stroke_hybrid", home=other, sweep_id="one", store=storage)
    with pytest.raises(BadInput, match="--id one: s3://lab/sweeps has a sweep of that id; resume it"):
        check_storage(asked)
    other.new_sweep("stroke", "one")
    with pytest.raises(BadInput, match="is another sweep of that id; move it away"):
        adopt_stored_sweep(other, "one", storage)
    with pytest.raises(BadInput, match="--max-disk: cannot be held in s3://lab/sweeps; leave it out"):
        check_storage(SweepRequest(name="stroke_hybrid", home=other, store=storage, max_disk_bytes=1))


@pytest.mark.parametrize("how", ["segment", "owner"])
def test_a_driver_that_was_away_does_not_write_over_the_one_that_goes_on(
    tmp_path: Path, storage: ObjectStore, how: str
) -> None:
    folder = Home(tmp_path / "home").new_sweep("stroke", "one")
    keep_request(folder, SweepRequest(name="stroke_hybrid", home=Home(tmp_path / "home")), Path("/images"))
    told: list[str] = []
    store = storage.below("one")
    with opened(folder, lambda event, state: None) as sweep:
        sweep.append(started(make_plan(), "one"))
        stored = begin_storing(folder, storage)
        assert stored is not None
        stored.send(told.append)
        begin(sweep, 0)
        if how == "segment":
            store.write("journal/00000002.jsonl", b"{}\n")
        else:
            store.write("owner.json", json.dumps(asdict(Owner(1, "elsewhere", time.time()))).encode())
            stored._owned_at_s = 0.0
        for _ in range(2):
            stored.send(told.append)
        assert [text for text in told if "another machine goes on with this sweep" in text] == told[-1:]
        assert sweep.stop_request.exists(), "its own trials end"
        stored.end(told.append)
    there = store.read("journal/00000002.jsonl")
    assert there == (b"{}\n" if how == "segment" else None)
    assert store.read("owner.json") is not None, "that of the other stays"
