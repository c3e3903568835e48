"""What a store lacks of a sweep, sent after the fact: it was out of reach, or it is another one."""

import fcntl
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.open_sweep import opened, state_of
from orchestrator.sweep_folder import require_shape
from orchestrator.sweep_lock import living_owner
from orchestrator.tracking.outcome import SyncOutcome
from orchestrator.tracking.store import told_as_bad_input
from orchestrator.tracking.sync import Sync, lock_file


def catch_up(sweep: Path, home: Home, uri: str | None, told: Callable[[int, int], None]) -> SyncOutcome:
    """Send a sweep's journal and files to a store, and register its winner there; what the store has is found by tag.

    `told` hears how many of how many lines are sent. Raises BadInput where the store cannot be used, where another
    process is sending there, and for a journal that is damaged.
    """
    require_shape(sweep)
    state_of(sweep)
    with lock_file(sweep, home, uri).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{sweep.name}: another process is sending it to this store; wait for it") from None
        with told_as_bad_input(home, uri):
            sync = Sync(sweep, home, uri)
            sync.pass_once(told)
            if not sync.ended and living_owner(sweep) is None:
                sync.close_abandoned()
        return sync.outcome


def note_registration(sweep: Path, outcome: SyncOutcome) -> None:
    """Write into the journal of a sweep that has ended what was registered late; later commands read it there."""
    state = state_of(sweep)
    if state.winner is None or state.ended is None or not outcome.has_registered(state):
        return
    if state.tracked is None or state.tracked.registered != outcome.registered:
        with opened(sweep, lambda event, state: None) as journal:
            journal.append(outcome.told(state))
