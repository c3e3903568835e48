"""A journal in an object store: numbered segments, each whole lines, none ever written again."""

from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.object_store import ObjectStore
from trainables.durable import put_in_place

FOLDER = "journal"


def segment_name(number: int) -> str:
    """Return the name of a segment, counted from 1."""
    return f"{FOLDER}/{number:08d}.jsonl"


class TakenOverError(Exception):
    """Another machine goes on with the sweep: what this one has to add has no place any more."""


class StoredJournal:
    """Sends a journal's new lines as the next segment. All methods raise StoreFault."""

    def __init__(self, store: ObjectStore, journal: Path, segments: int = 0, sent_bytes: int = 0) -> None:
        self._store, self._journal = store, journal
        self._segments, self._sent_bytes = segments, sent_bytes
        self._next = b""  # kept until it is surely there: a write whose answer was lost is repeated as it was

    def send(self) -> None:
        """Write the lines that are not there yet; nothing where there are none. Raises TakenOverError."""
        for _ in range(2):  # what an earlier try left, then what came since
            self._next = self._next or self.unsent()
            if self._next:
                name = segment_name(self._segments + 1)
                if self._store.read(name) not in (None, self._next):
                    raise TakenOverError
                self._store.write(name, self._next)
                self._segments += 1
                self._sent_bytes += len(self._next)
                self._next = b""

    def unsent(self) -> bytes:
        """Return the whole lines that the store lacks."""
        with self._journal.open("rb") as file:
            file.seek(self._sent_bytes)
            content = file.read()
        return content[: content.rfind(b"\n") + 1]


def has_journal(store: ObjectStore) -> bool:
    """Tell whether a sweep's folder in a store has a journal. Raises StoreFault."""
    return bool(store.keys(FOLDER))


def brought_up_to_date(store: ObjectStore, journal: Path) -> StoredJournal:
    """Let a journal on this machine have every line that the store has, and return what sends the further ones.

    Raises BadInput where the sweep went on in two places, or a segment is missing; StoreFault.
    """
    keys = store.keys(FOLDER)
    for number, key in enumerate(keys, start=1):
        if key != segment_name(number):
            raise BadInput(f"{store.uri}: {segment_name(number)} is missing; put back a whole copy")
    there = b"".join(store.read_all(keys))
    here = journal.read_bytes() if journal.is_file() else b""
    if there.startswith(here) and there != here:  # also where a machine went off before its last lines were on disk
        part = journal.with_name(f"{journal.name}.part")
        part.write_bytes(there)
        put_in_place(part, journal)
    elif not here.startswith(there):
        raise BadInput(
            f"{store.uri}: the sweep went on elsewhere, and here too, and its journals differ; move away "
            f"{journal.parent} to go on with the one in the storage"
        )
    return StoredJournal(store, journal, len(keys), len(there))
