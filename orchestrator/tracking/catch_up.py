"""What a store lacks of a sweep, sent after the fact: it was out of reach, or it is another one."""

import fcntl
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.open_sweep import require_original, state_of
from orchestrator.sweep_folder import require_shape
from orchestrator.sweep_lock import living_owner
from orchestrator.tracking.outcome import SyncOutcome
from orchestrator.tracking.retrying import keep_trying
from orchestrator.tracking.store import told_of
from orchestrator.tracking.store_fault import StoreFault
from orchestrator.tracking.sync import Sync, lock_file

SAY_AFTER_S = 5.0
WITHOUT_PROGRESS_S = 60.0  # of a store that is out of reach, or answers some calls only
WITHOUT_HOPE_S = 5.0  # of a refusal, or a fault of this machine: a second try is enough


def catch_up(
    sweep: Path,
    home: Home,
    uri: str | None,
    told: Callable[[int, int], None],
    say: Callable[[str], None] = lambda text: None,
) -> SyncOutcome:
    """Send a sweep's journal and files to a store, and register its winner there; what the store has is found by tag.

    `told` hears how many of how many lines are sent, `say` that a store is asked again. Raises BadInput where nothing
    could be sent for too long (what was sent before stays sent), where another process is sending there, for a copied
    folder, and for a journal that is damaged.
    """
    require_shape(sweep)
    require_original(sweep, state_of(sweep), "sync")
    with lock_file(sweep, home, uri).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"{sweep.name}: another process is sending it to this store; wait for it") from None
        sync = Sync(sweep, home, uri)

        def send() -> bool:
            sync.pass_once(told)
            if not sync.ended and living_owner(sweep) is None:
                sync.close_abandoned()
            return True

        fault = keep_trying(sync, send, _patience_s, _once(say, home, uri))
        if fault is not None:
            raise BadInput(told_of(fault, home, uri))
        return sync.outcome


def _patience_s(fault: StoreFault) -> float:
    return WITHOUT_PROGRESS_S if fault.kind == "away" else WITHOUT_HOPE_S


def _once(say: Callable[[str], None], home: Home, uri: str | None) -> Callable[[StoreFault, float], None]:
    """Return what says once, after a while, that a store is asked again."""
    was_said = False

    def hear(fault: StoreFault, for_s: float) -> None:
        nonlocal was_said
        if not was_said and SAY_AFTER_S <= for_s < _patience_s(fault):
            was_said = True
            say(f"{told_of(fault, home, uri)}; asked again until it takes nothing for {WITHOUT_PROGRESS_S:.0f} s")

    return hear
