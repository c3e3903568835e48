"""What one trial's process says, in its own folder; and the sign of a hang in it."""

import faulthandler
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = "log.txt"
WITNESS = "witness.jsonl"
_HANG = re.compile(r"^Timeout \((\d+):(\d\d):([\d.]+)\)!$", re.MULTILINE)
_CRASH = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
TAIL_BYTES = 20_000
HANGING, CRASHED, SILENT = "hanging: ", "its process crashed: ", "the process died without a message"
# as Ray says of a process whose machine is gone, and of one that neither returned nor raised nor exited
NODE_LOST = ("its node has died", "The actor is temporarily unavailable")  # that it is dead is known only later
KILLED = "Worker exit type: SYSTEM_ERROR"
MOST_NODES_LOST = 5  # by a trial without an epoch between: then it is what costs them
MOST_TIMES_KILLED = 2  # by others than itself; then a trial, or what is done with a finalist, is not begun again


def speak_into(folder: Path) -> None:
    """Send all that this process prints from here on, tracebacks of crashes among it, to the trial's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(target, number)
    os.close(target)
    faulthandler.enable(file=2)


@contextmanager
def in_log(folder: Path) -> Iterator[None]:
    """Let a task on a finalist say all that it prints, and what it raises, into the log of its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    speak_into(folder)
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise


def size_bytes(log: Path) -> int:
    """Return how long a log is before another process speaks into it; 0 where there is none."""
    return log.stat().st_size if log.is_file() else 0


def cause_of_death(log: Path, after_bytes: int = 0) -> str:
    """Return what a log tells of why its process died; empty where it tells nothing.

    What stands before `after_bytes` is of an earlier process, whose end is no news of this one.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(after_bytes, log.stat().st_size - TAIL_BYTES))
            tail = file.read().decode(errors="replace")
    except OSError:
        return ""
    hang = _HANG.search(tail)
    if hang:
        waited_s = 3600 * int(hang[1]) + 60 * int(hang[2]) + float(hang[3])
        return f"{HANGING}no epoch ended within {waited_s:g} s, so its process was ended"
    crash = _CRASH.search(tail)
    return f"{CRASHED}{crash[1]}" if crash else ""
