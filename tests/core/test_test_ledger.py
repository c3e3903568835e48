import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.test_ledger import TestRead, count_in_words, note_preparation, read_ledger, record_test_read


def read(who: str, purpose: str = "evaluation", digest: str = "d") -> TestRead:
    return TestRead(test_digest=digest, images=3, purpose=purpose, who=who, model="trial 1", why="because")


def test_what_is_recorded_is_read_back_for_its_test_images_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "home" / "test_reads.jsonl"
    assert read_ledger(ledger, "d") == []
    first, other = read("sweep-1"), read("sweep-2", digest="e")
    record_test_read(ledger, first)
    record_test_read(ledger, other)
    assert read_ledger(ledger, "d") == [first]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: record_test_read(ledger, read(f"sweep-{number}")), range(100)))
    assert {line.who for line in read_ledger(ledger, "d")} == {f"sweep-{number}" for number in range(100)}


def test_a_torn_line_hides_no_other(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    record_test_read(ledger, read("sweep-1"))
    with ledger.open("a") as file:
        file.write('{"test_digest": "d", "ima')
    record_test_read(ledger, read("sweep-2", "preparation"))
    reads = read_ledger(ledger, "d")
    assert [line.who for line in reads] == ["sweep-1", "sweep-2"]
    assert ledger.read_bytes().count(b"\n") == 3
    assert count_in_words(reads) == "1 evaluation by 1 sweep, 1 read for preparation and audits"
    more = [read(who) for who in ("train a", "train b", "predict")]
    assert count_in_words([*reads, *more]).startswith("4 evaluations by 1 sweep, 2 trainings and predict, 1 read")


def test_a_disk_that_takes_half_a_line_is_told_in_one_line_and_loses_no_later_read(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limit[1]))
    try:
        with pytest.raises(
            BadInput, match=r"ledger\.jsonl: .* cannot be written \(only 40 of \d+ bytes were written\)$"
        ):
            note_preparation(ledger, "d", 3, "sweep-1", "audited")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    record_test_read(ledger, read("sweep-2"))
    assert [line.who for line in read_ledger(ledger, "d")] == ["sweep-2"]


def test_bytes_that_are_no_text_hide_no_line(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    record_test_read(ledger, read("sweep-1"))
    with ledger.open("ab") as file:
        file.write(b"\xff\xfe bad\n")
    assert [line.who for line in read_ledger(ledger, "d")] == ["sweep-1"]
