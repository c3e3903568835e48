"""A journal in segments: any first part of them is a journal; two machines' journals are never mixed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_support import away, buckets_in
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_support import begin, epoch, open_sweep

from orchestrator.errors import BadInput
from orchestrator.journal import TrialEnded, read_events
from orchestrator.object_store import ObjectStore, StoreFault
from orchestrator.stored_journal import FOLDER, StoredJournal, brought_up_to_date, segment_name
from orchestrator.sweep_state import replay


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with buckets_in(tmp_path / "buckets") as found:
        yield found.below("s")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole") / "s"
    with open_sweep(folder) as sweep:
        for number in range(3):
            begin(sweep, number)
            sweep.append(epoch(number, 1, 0.5 + number / 10))
            sweep.append(TrialEnded(trial=number, state="completed", reason="all trained"))
    return (folder / "journal.jsonl").read_bytes()


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, 5000), max_size=8), count=st.integers(1, 9))
def test_any_first_segments_replay(lines: bytes, cuts: list[int], count: int) -> None:
    with tempfile.TemporaryDirectory() as name, buckets_in(Path(name, "buckets")) as found:
        journal, other, store = Path(name, "journal.jsonl"), Path(name, "other.jsonl"), found.below("s")
        sent = StoredJournal(store, journal)
        for end in sorted({min(cut, len(lines)) for cut in cuts} | {len(lines)}):  # torn lines among them
            journal.write_bytes(lines[:end])
            sent.send()
        keys = store.keys(FOLDER)
        store.remove(keys[count:])
        brought_up_to_date(store, other)
        assert lines.startswith(other.read_bytes())
        assert other.read_bytes() == lines or count < len(keys)
        events, _ = read_events(other)
        assert len(replay(events).trials) <= 3


def test_a_segment_is_never_written_again_whole_lines_only(store: ObjectStore, lines: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    sent = StoredJournal(store, journal)
    journal.write_bytes(lines[:-20])
    sent.send()
    first = store.read(segment_name(1))
    assert first is not None and first.endswith(b"\n") and lines.startswith(first)
    sent.send()
    assert store.keys(FOLDER) == [segment_name(1)]
    journal.write_bytes(lines)
    with away(), pytest.raises(StoreFault):
        sent.send()
    sent.send()
    assert store.read(segment_name(1)) == first
    assert b"".join(store.read_all(store.keys(FOLDER))) == lines


def test_a_write_whose_answer_was_lost_is_repeated_as_it_was(
    store: ObjectStore, lines: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, cut = tmp_path / "journal.jsonl", lines.index(b"\n") + 1
    journal.write_bytes(lines[:cut])
    sent, write = StoredJournal(store, journal), ObjectStore.write

    def written_without_answer(self: ObjectStore, key: str, content: bytes) -> None:
        write(self, key, content)
        raise StoreFault("no answer")

    with monkeypatch.context() as patch, pytest.raises(StoreFault):
        patch.setattr(ObjectStore, "write", written_without_answer)
        sent.send()
    journal.write_bytes(lines)
    sent.send()
    assert store.read(segment_name(1)) == lines[:cut]
    assert b"".join(store.read_all(store.keys(FOLDER))) == lines


def test_a_machine_that_lost_its_last_lines_gets_them_back(store: ObjectStore, lines: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(lines)
    StoredJournal(store, journal).send()
    journal.write_bytes(lines[:-30])
    brought_up_to_date(store, journal).send()
    assert journal.read_bytes() == lines
    assert store.keys(FOLDER) == [segment_name(1)]


def test_a_journal_that_is_ahead_stays_and_is_sent(store: ObjectStore, lines: bytes, tmp_path: Path) -> None:
    journal, cut = tmp_path / "journal.jsonl", lines.index(b"\n") + 1
    journal.write_bytes(lines[:cut])
    StoredJournal(store, journal).send()
    journal.write_bytes(lines)
    brought_up_to_date(store, journal).send()
    assert b"".join(store.read_all(store.keys(FOLDER))) == lines


def test_two_journals_of_one_sweep_are_not_mixed(store: ObjectStore, lines: bytes, tmp_path: Path) -> None:
    journal, cut = tmp_path / "journal.jsonl", lines.index(b"\n") + 1
    journal.write_bytes(lines)
    StoredJournal(store, journal).send()
    journal.write_bytes(lines[:cut] + b'{"kind": "another"}\n')
    with pytest.raises(BadInput, match="its journals differ; move away"):
        brought_up_to_date(store, journal)


def test_a_missing_segment_is_named(store: ObjectStore, lines: bytes, tmp_path: Path) -> None:
    store.write(segment_name(1), lines)
    store.write(segment_name(3), lines)
    with pytest.raises(BadInput, match=r"journal/00000002\.jsonl is missing"):
        brought_up_to_date(store, tmp_path / "journal.jsonl")
