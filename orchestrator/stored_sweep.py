"""A sweep whose storage is an object store: its folder is the driver's own, and what others need is sent there."""

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import BadInput, Interrupted
from orchestrator.home import Home, check_sweep_id
from orchestrator.object_store import ObjectStore, StoreFault, patiently
from orchestrator.open_sweep import JOURNAL, OpenSweep
from orchestrator.stored_journal import StoredJournal, TakenOverError, brought_up_to_date, has_journal
from orchestrator.sweep_folder import CODE, CODE_RESUMED
from orchestrator.sweep_lock import OWNER, STOP_REQUEST, Owner, owned
from orchestrator.sweep_request import FILE as REQUEST
from orchestrator.sweep_request import SweepRequest

ADDRESS = "store.json"
KEPT = (REQUEST, CODE, CODE_RESUMED)
SEND_S = 5.0
OWNER_S = 15.0
END_WITHIN_S = 20.0
PATIENCE_S = 120.0  # of a driver that cannot go on without the store
_OWNER = TypeAdapter(Owner)


class StoredSweep:
    """What the driver sends: lines of the journal, small files, and removals. A thread does it, see `sending`.

    A store that is away is told of once, and tried again; the sweep goes on.
    """

    def __init__(self, store: ObjectStore, folder: Path, journal: StoredJournal) -> None:
        self.store = store
        self._folder, self._journal = folder, journal
        self._jobs: deque[Callable[[], None]] = deque()
        self._sent: dict[str, bytes] = {}
        self._owned_at_s = 0.0
        self._fault: StoreFault | None = None
        self._is_taken_over = False
        self._sending = threading.Lock()

    @property
    def is_away(self) -> bool:
        """Tell whether the store failed when it was last asked for something."""
        return self._fault is not None

    def later(self, job: Callable[[], None]) -> None:
        """Do something with the store soon, after what was asked for before; as often as it fails."""
        self._jobs.append(job)

    def need(self, act: Callable[[], None]) -> None:
        """Do something that the sweep cannot go on without. Raises Interrupted where the store stays away."""
        try:
            patiently(act, PATIENCE_S)
        except StoreFault as fault:
            raise Interrupted(f"storage {self.store.uri}: {fault}") from fault

    def put_inputs(self, paths: Sequence[Path]) -> None:
        """Send what processes on other machines begin with. Raises Interrupted."""
        for path in paths:
            self.need(lambda path=path: self.store.put(path, path.name))  # type: ignore[misc]

    def send(self, tell: Callable[[str], None]) -> None:
        """Send what is new."""
        with self._sending:
            if self._is_taken_over:
                return
            try:
                self._beat()
                self._journal.send()
                for name in KEPT:
                    self._send_if_new(name)
                while self._jobs:
                    self._jobs[0]()
                    self._jobs.popleft()
            except TakenOverError:
                self._is_taken_over = True
                tell(f"storage {self.store.uri}: another machine goes on with this sweep, so it ends here")
                (self._folder / STOP_REQUEST).touch()
            except StoreFault as fault:
                if self._fault is None:
                    tell(
                        f"storage {self.store.uri}: {fault}; the sweep goes on, and what is new is sent once it answers"
                    )
                self._fault = fault
            else:
                if self._fault is not None:
                    tell(f"storage {self.store.uri}: answers again, and has all")
                self._fault = None

    def end(self, tell: Callable[[str], None], is_waiting: bool = False) -> None:
        """Send the last, and let others go on with the sweep; what cannot be sent is told.

        `is_waiting`: another thread waits for an answer still, so that nothing more is asked.
        """
        self._owned_at_s = time.monotonic()
        if not is_waiting:
            self.send(tell)
        if self._is_taken_over:
            return
        unsent = self._journal.unsent().count(b"\n")
        if unsent:
            again = f"orchestrate resume {self._folder.name} on this machine sends them"
            tell(f"storage {self.store.uri}: lacks the last {unsent} lines of the journal; {again}")
        if not (unsent or is_waiting):
            with suppress(StoreFault):
                self.store.remove([OWNER])

    def _beat(self) -> None:
        if time.monotonic() - self._owned_at_s >= OWNER_S or not self._owned_at_s:
            other = _owner_in(self.store)
            if other is not None and other.host != socket.gethostname() and other.is_beating:
                raise TakenOverError
            self.store.write(OWNER, json.dumps(asdict(_this_process())).encode())
            self._owned_at_s = time.monotonic()

    def _send_if_new(self, name: str) -> None:
        path = self._folder / name
        content = path.read_bytes() if path.is_file() else b""
        if content and content != self._sent.get(name):
            self.store.write(name, content)
            self._sent[name] = content


def begin_storing(folder: Path, storage: ObjectStore | None) -> StoredSweep | None:
    """Let a new sweep's folder know where it is stored."""
    if storage is None:
        return None
    store = storage.below(folder.name)
    _remember(folder, store)
    return StoredSweep(store, folder, StoredJournal(store, folder / JOURNAL))


@contextmanager
def sending(sweep: OpenSweep, stored: StoredSweep | None) -> Iterator[None]:
    """Send what the sweep writes until the end of the block."""
    if stored is None:
        yield
        return
    ended = threading.Event()

    def send_now_and_then() -> None:
        while not ended.wait(SEND_S):
            stored.send(sweep.tell)

    sweep.stored = stored
    stored.send(sweep.tell)
    thread = threading.Thread(target=send_now_and_then, name="journal to the store", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(END_WITHIN_S)
        stored.end(sweep.tell, thread.is_alive())


def stored_at(folder: Path) -> ObjectStore | None:
    """Return where a sweep is stored, None where its folder is all of it."""
    try:
        return ObjectStore(json.loads((folder / ADDRESS).read_text(encoding="utf-8"))["uri"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_storage(request: SweepRequest) -> None:
    """Raise BadInput for an id that the storage has already, and for a limit that cannot be held there."""
    if request.store is None:
        return
    require_no_limit(request)
    if request.sweep_id is not None:
        with _told(request.store):
            if has_journal(request.store.below(request.sweep_id)):
                raise BadInput(
                    f"--id {request.sweep_id}: {request.store.uri} has a sweep of that id; resume it, or choose another"
                )


def require_no_limit(request: SweepRequest) -> None:
    """Raise BadInput for a limit of what trials may take where nobody measures it."""
    if request.store is not None and request.max_disk_bytes is not None:
        raise BadInput(f"--max-disk: cannot be held in {request.store.uri}; leave it out, or name a shared folder")


def is_stored(storage: ObjectStore, sweep_id: str) -> bool:
    """Tell whether a store has a sweep of that id. Raises BadInput where it cannot be asked."""
    check_sweep_id(sweep_id)
    with _told(storage):
        return has_journal(storage.below(sweep_id))


def adopt_stored_sweep(home: Home, sweep_id: str, storage: ObjectStore) -> None:
    """Know a sweep here that another machine began in a store. Raises BadInput where there is none."""
    check_sweep_id(sweep_id)
    store, folder = storage.below(sweep_id), home.sweeps / sweep_id
    if folder.exists() and stored_at(folder) != store:
        raise BadInput(f"--storage {storage.uri}: {folder} is another sweep of that id; move it away, or name another")
    if (folder / JOURNAL).is_file():
        return
    with _told(storage):
        if not has_journal(store):
            raise BadInput(f"--storage {storage.uri}: has no sweep {sweep_id}; look at its name, and at the prefix")
    folder.mkdir(parents=True, exist_ok=True)
    _remember(folder, store)
    go_on_storing(folder)


def go_on_storing(folder: Path) -> StoredSweep | None:
    """Bring a sweep's folder up to date with its store. Raises BadInput where another machine runs it."""
    store = stored_at(folder)
    if store is None:
        return None
    journal = folder / JOURNAL
    with owned(folder), _told(store):
        _require_unowned(store, folder.name)
        size_bytes = journal.stat().st_size if journal.is_file() else 0
        stored = brought_up_to_date(store, journal)
        for name in KEPT:
            if journal.stat().st_size > size_bytes and (content := store.read(name)) is not None:
                (folder / name).write_bytes(content)
        stored.send()
    return StoredSweep(store, folder, stored)


def remove_stored(folder: Path) -> None:
    """Remove all that the store of a sweep has of it. Raises BadInput where another machine runs it."""
    store = stored_at(folder)
    if store is not None:
        with _told(store):
            _require_unowned(store, folder.name)
            store.remove(store.keys())


def _require_unowned(store: ObjectStore, sweep_id: str) -> None:
    owner = _owner_in(store)
    if owner is not None and owner.host != socket.gethostname() and owner.is_beating:  # here the folder's lock tells
        raise BadInput(f"{sweep_id}: is run by {owner.name}; wait for it, or end it there")


def _owner_in(store: ObjectStore) -> Owner | None:
    try:
        return _OWNER.validate_json(store.read(OWNER) or b"")
    except ValueError:
        return None


def _remember(folder: Path, store: ObjectStore) -> None:
    (folder / ADDRESS).write_text(json.dumps({"uri": store.uri}), encoding="utf-8")


def _this_process() -> Owner:
    return Owner(os.getpid(), socket.gethostname(), time.time())


@contextmanager
def _told(store: ObjectStore) -> Iterator[None]:
    try:
        yield
    except TakenOverError as error:
        raise BadInput(f"--storage {store.uri}: another machine goes on with this sweep; wait for it") from error
    except StoreFault as fault:
        raise BadInput(f"--storage {store.uri}: {fault}") from fault
