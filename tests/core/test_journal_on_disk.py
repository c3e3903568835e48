"""A journal whose lines do not reach the disk says so with the next one, and goes on trying."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_support import make_plan, started, suggested

from orchestrator import journal as module
from orchestrator.errors import DiskFull
from orchestrator.journal import RESERVE, JournalWriter, read_events

FaultyDisk = Callable[[int | None], None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    """Let fsync fail with a number from now on, or work again with None; return when it was tried once more."""
    whole, number, tried = os.fsync, [0], [0]

    def fsync(file: int) -> None:
        tried[0] += 1
        if number[0]:
            raise OSError(number[0], os.strerror(number[0]))
        whole(file)

    def turn(to: int | None) -> None:
        number[0], tried[0] = to or 0, 0

    turn.tried = tried  # type: ignore[attr-defined]
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(module, "SYNC_TO_DISK_S", 0.01)
    return turn


def wait_for_sync(disk: FaultyDisk) -> None:
    deadline = time.monotonic() + 20
    while not disk.tried[0]:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline, "nobody brings lines to disk"
        time.sleep(0.005)
    time.sleep(0.05)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_when_lines_are_synced_ends_the_sweep(
    tmp_path: Path, disk: FaultyDisk, number: int
) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        disk(number)
        journal.append(started(make_plan()))
        wait_for_sync(disk)
        disk(number)
        wait_for_sync(disk)  # tried again without another line
        with pytest.raises(DiskFull):
            journal.append(suggested(0))
        assert not (tmp_path / RESERVE).exists(), "its room is for the last lines"
        disk(None)
        wait_for_sync(disk)
        disk(None)
        journal.append(suggested(1))
        wait_for_sync(disk)  # its thread lives
    events = read_events(tmp_path / "journal.jsonl")[0]
    assert [event.kind for event in events] == ["sweep_started", "trial_suggested", "trial_suggested"]


def test_another_fault_of_the_disk_is_told_once(tmp_path: Path, disk: FaultyDisk) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        disk(errno.EIO)
        journal.append(started(make_plan()))
        wait_for_sync(disk)
        disk(None)
        with pytest.raises(OSError, match="Input/output error"):
            journal.append(suggested(0))
        journal.append(suggested(1))
        wait_for_sync(disk)
    events = read_events(tmp_path / "journal.jsonl")[0]
    assert [event.trial for event in events[1:]] == [1], "what was refused is not in it"
