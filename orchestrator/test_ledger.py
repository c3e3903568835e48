"""Every read of test data is one line here: who, which model, why. A test set that is read often is no longer one."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.errors import BadInput
from orchestrator.words import counted

Purpose = Literal["evaluation", "preparation"]
TRAINING = "train "  # begins the name of a training in the foreground
PREDICT, EVALUATE, PROMOTE, EXPLAIN = "predict", "evaluate", "promote", "explain"  # commands that read test images
COMMANDS = {PREDICT, EVALUATE, PROMOTE, EXPLAIN}


@dataclass(frozen=True, kw_only=True)
class TestRead:
    """One read: `test_digest` names the test images by content, whatever set or split they came with.

    It is empty where a set was read whose test images are not known: `images` then counts the set's.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    test_digest: str
    images: int
    purpose: Purpose
    who: str  # a sweep's id, or the command
    model: str  # empty where none was involved
    why: str
    time: float = field(default_factory=time.time)  # seconds since 1970


def record_test_read(ledger: Path, read: TestRead) -> None:
    """Append one line; several processes may do so at once. Raises OSError: what cannot be noted must not be read."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    line = f"{json.dumps(asdict(read))}\n".encode()
    with ledger.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed: nobody tears a line between the look and the write
        size_bytes = file.seek(0, os.SEEK_END)
        if size_bytes and os.pread(file.fileno(), 1, size_bytes - 1) != b"\n":  # a line that a crash or full disk tore
            line = b"\n" + line
        written_bytes = file.write(line)
        if written_bytes != len(line):
            raise OSError(errno.ENOSPC, f"only {written_bytes} of {len(line)} bytes were written", str(ledger))
        os.fsync(file.fileno())


def note_preparation(ledger: Path, test_digest: str, images: int, who: str, why: str) -> None:
    """Append a line for a read that judges no model. Raises BadInput where it cannot be written."""
    note_test_read(
        ledger, TestRead(test_digest=test_digest, images=images, purpose="preparation", who=who, model="", why=why)
    )


def note_test_read(ledger: Path, read: TestRead) -> None:
    """Append one line. Raises BadInput where it cannot be written."""
    try:
        record_test_read(ledger, read)
    except OSError as error:
        raise BadInput(f"{ledger}: the ledger of test reads cannot be written ({error.strerror})") from error


def require_ledger(ledger: Path) -> None:
    """Raise BadInput where no line could be written: what cannot be noted must not be read."""
    try:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        with ledger.open("ab"):
            return
    except OSError as error:
        raise BadInput(f"{ledger}: the ledger of test reads cannot be written ({error.strerror})") from error


def count_in_words(reads: list[TestRead]) -> str:
    """Return "9 evaluations by 3 sweeps, 1 training and predict, 4 reads for preparation and audits"."""
    evaluations = [read for read in reads if read.purpose == "evaluation"]
    who = {read.who for read in evaluations}
    trainings = {one for one in who if one.startswith(TRAINING)}
    commands = sorted(who & COMMANDS, reverse=True)
    sweeps = who - trainings - COMMANDS
    kinds = [counted(len(sweeps), "sweep")] if sweeps or not who else []
    kinds += [counted(len(trainings), "training")] if trainings else []
    kinds += commands
    by = " and ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]
    others = counted(len(reads) - len(evaluations), "read")
    return f"{counted(len(evaluations), 'evaluation')} by {by}, {others} for preparation and audits"


def read_ledger(ledger: Path, test_digest: str) -> list[TestRead]:
    """Return the reads of some test images, oldest first; damaged lines are passed over."""
    if not ledger.is_file():
        return []
    return [
        read
        for read in _reads(ledger.read_text(encoding="utf-8", errors="replace").splitlines())
        if read.test_digest == test_digest
    ]


def _reads(lines: Iterable[str]) -> Iterable[TestRead]:
    for line in lines:
        try:
            yield TestRead(**json.loads(line))
        except (ValueError, TypeError):
            continue
