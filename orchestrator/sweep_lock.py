"""Who runs a sweep: one process at a time, known by a lock that dies with it and by a heartbeat for other machines."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BufferedIOBase
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import BadInput
from orchestrator.sweep_folder import require_shape

LOCK, OWNER = "lock", "owner.json"
STOP_REQUEST = "stop_requested"  # while it is there, the sweep ends and its trials keep every epoch
LOCK_AGAIN_S = (0.05, 0.05, 0.1, 0.1, 0.0)
HEARTBEAT_S = 5.0
LOOK_S = 1.0
STALE_S = 60.0
MOST_AHEAD_S = 3600.0


@dataclass(frozen=True)
class Owner:
    """The process that runs a sweep, or ran it last."""

    pid: int
    host: str
    beat: float  # seconds since 1970

    @property
    def name(self) -> str:
        """Return it as a user would look for it."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_beating(self) -> bool:
        """Tell whether it was at work a minute ago, by a clock that may be ahead; one that is hours ahead is wrong."""
        return -MOST_AHEAD_S < time.time() - self.beat < STALE_S


_OWNER = TypeAdapter(Owner)


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a sweep until the end of the block, also after a process that died.

    Raises BadInput where a live one does, and where a folder is in the place of one of its files.
    """
    require_shape(folder)
    with (folder / LOCK).open("ab") as file:
        if not _lock(file):
            raise _refused(folder)
        other = _read(folder)
        is_elsewhere = other is not None and other.host != socket.gethostname()
        if is_elsewhere and not _is_silent(folder):  # a file system may carry no locks between machines
            raise _refused(folder)
        ended = threading.Event()
        beating = threading.Thread(target=_beat, args=(folder, ended), name="heartbeat", daemon=True)
        (folder / STOP_REQUEST).unlink(missing_ok=True)
        _write_owner(folder)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()
            (folder / OWNER).unlink(missing_ok=True)


def _is_silent(folder: Path) -> bool:
    """Tell whether an owner on another machine is dead: within seconds where it beats, else once it should have."""
    first = _read(folder)
    while (now := _read(folder)) is not None and now.is_beating:
        if now != first:
            return False
        time.sleep(LOOK_S)
    return True


def _lock(file: BufferedIOBase) -> bool:
    """Lock a file; tell whether that was possible. Who looks for an owner holds it for a moment, too."""
    for wait_s in LOCK_AGAIN_S:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(wait_s)
    return False


def living_owner(folder: Path) -> Owner | None:
    """Return who runs a sweep just now; None where nobody does, whatever the files of a dead process say."""
    owner = _read(folder)
    if owner is None:
        return None
    if owner.host != socket.gethostname():
        return owner if owner.is_beating else None
    try:
        with (folder / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return owner
    except OSError:
        return None
    return None


def _refused(folder: Path) -> BadInput:
    owner = _read(folder)
    who = owner.name if owner else "another process"
    return BadInput(f"{folder.name}: is run by {who}; wait for it, or end it with: orchestrate stop {folder.name}")


def _beat(folder: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        _write_owner(folder)


def _write_owner(folder: Path) -> None:
    part = folder / f"{OWNER}.part"
    with suppress(OSError):  # a full disk ends the sweep elsewhere; the lock holds without a heartbeat
        part.write_text(json.dumps(asdict(Owner(os.getpid(), socket.gethostname(), time.time()))))
        part.replace(folder / OWNER)


def _read(folder: Path) -> Owner | None:
    try:
        return _OWNER.validate_json((folder / OWNER).read_bytes())
    except (OSError, ValueError):
        return None
