"""A journal whose lines do not reach the disk says so with the next one, and goes on trying."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from sweep_support import make_plan, started, suggested

from orchestrator import journal as module
from orchestrator.errors import DiskFull
from orchestrator.journal import RESERVE, JournalWriter, read_events


class FaultyDisk:
    """A disk whose next syncs of files fail as told, and then work again; it counts them, and notes folders."""

    def __init__(self) -> None:
        self._whole, self._failures, self._tried = os.fsync, list[int](), threading.Semaphore(0)
        self.folders: list[int] = []  # by inode

    def fail(self, number: int, times: int) -> None:
        self._failures += [number] * times

    def fsync(self, file: int) -> None:
        about = os.fstat(file)
        if stat.S_ISDIR(about.st_mode):
            self.folders.append(about.st_ino)
            return
        failure = self._failures.pop() if self._failures else None
        self._tried.release()
        if failure is not None:
            raise OSError(failure, os.strerror(failure))
        self._whole(file)

    def wait_for_syncs(self, count: int) -> None:
        for _ in range(count):
            assert self._tried.acquire(timeout=20), "nobody brings lines to disk"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    disk = FaultyDisk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    monkeypatch.setattr(module, "SYNC_TO_DISK_S", 0.01)
    return disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_when_lines_are_synced_ends_the_sweep(
    tmp_path: Path, disk: FaultyDisk, number: int
) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        disk.fail(number, times=2)
        journal.append(started(make_plan()))
        disk.wait_for_syncs(3)  # the second and third without another line
        with pytest.raises(DiskFull):
            journal.append(suggested(0))
        assert not (tmp_path / RESERVE).exists(), "its room is for the last lines"
        disk.wait_for_syncs(1)
        journal.append(suggested(1))
        disk.wait_for_syncs(1)  # its thread lives
    events = read_events(tmp_path / "journal.jsonl")[0]
    assert [event.kind for event in events] == ["sweep_started", "trial_suggested", "trial_suggested"]


def test_another_fault_of_the_disk_is_told_once(tmp_path: Path, disk: FaultyDisk) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None) as journal:
        disk.fail(errno.EIO, times=1)
        journal.append(started(make_plan()))
        disk.wait_for_syncs(2)
        with pytest.raises(OSError, match="Input/output error"):
            journal.append(suggested(0))
        journal.append(suggested(1))
        disk.wait_for_syncs(1)
    events = read_events(tmp_path / "journal.jsonl")[0]
    assert [event.trial for event in events[1:]] == [1], "what was refused is not in it"


def test_a_new_journal_is_in_its_folder_before_the_first_line(tmp_path: Path, disk: FaultyDisk) -> None:
    with JournalWriter(tmp_path / "journal.jsonl", lambda event: None):
        assert disk.folders == [tmp_path.stat().st_ino]
