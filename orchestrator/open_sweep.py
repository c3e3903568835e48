"""A sweep that this process runs: locked, its journal open, and the state that the journal adds up to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from orchestrator.journal import Event, JournalWriter, SweepStarted, read_events
from orchestrator.sweep_lock import STOP_REQUEST, owned
from orchestrator.sweep_state import SweepState, replay

if TYPE_CHECKING:
    from orchestrator.stored_sweep import StoredSweep

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Notice:
    """Something that the user should hear and the journal need not hold."""

    text: str


SweepWatch = Callable[[Event | Notice, SweepState], None]  # hears every event, with the state that it has led to


class OpenSweep:
    """Every event goes into the journal, then into `state` and `past`, then to `watch`."""

    def __init__(self, folder: Path, watch: SweepWatch) -> None:
        path = folder / JOURNAL
        self.folder = folder
        self.stored: StoredSweep | None = None  # where its storage is an object store
        self.past: list[Event] = read_events(path)[0] if path.exists() else []
        self._state = replay(self.past) if self.past else None
        self._watch = watch
        self._journal = JournalWriter(path, self._fold)

    @property
    def state(self) -> SweepState:
        """Return what the journal adds up to just now."""
        assert self._state is not None, "the first event starts the sweep"
        return self._state

    @property
    def stop_request(self) -> Path:
        """Return the file whose presence asks the sweep to end."""
        return self.folder / STOP_REQUEST

    def append(self, event: Event) -> None:
        """Write one event. Raises DiskFull."""
        self._journal.append(event)

    def tell(self, text: str) -> None:
        """Let `watch` hear something that no journal needs; threads may."""
        self._watch(Notice(text), self.state)

    def close(self) -> None:
        """Bring the journal to disk."""
        self._journal.close()

    def _fold(self, event: Event) -> None:
        if isinstance(event, SweepStarted):
            self._state = SweepState(started=event)
        else:
            self.state.apply(event)
        self.past.append(event)
        self._watch(event, self.state)


@contextmanager
def opened(folder: Path, watch: SweepWatch) -> Iterator[OpenSweep]:
    """Own and open a sweep's folder. Raises BadInput where another process runs it or its journal is damaged."""
    with owned(folder):
        try:
            sweep = OpenSweep(folder, watch)
        except (ValueError, KeyError) as error:
            raise BadInput(f"{folder / JOURNAL}: is damaged: {error}; put back a whole copy") from error
        try:
            yield sweep
        finally:
            sweep.close()


def state_of(folder: Path) -> SweepState:
    """Return what the journal of a sweep adds up to, whoever runs it. Raises BadInput where it cannot be read."""
    try:
        return replay(read_events(folder / JOURNAL)[0])
    except (ValueError, KeyError) as error:
        raise BadInput(f"{folder / JOURNAL}: is damaged: {error}; put back a whole copy") from error


def require_original(folder: Path, state: SweepState, verb: str) -> None:
    """Raise BadInput for a folder that holds another sweep's journal: its runs in MLflow are that sweep's."""
    own_id = state.started.sweep_id
    if own_id != folder.name:
        raise BadInput(
            f"{folder.name}: is a copy of {own_id} and would write to its runs in MLflow; {verb} that; where it is "
            "gone, give this folder its name"
        )
