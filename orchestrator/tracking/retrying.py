"""How long and how often a store is asked again: by the sync of a sweep that runs, and by `orchestrate sync`."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.tracking.store_fault import STORE_FAULTS, StoreFault

if TYPE_CHECKING:
    from orchestrator.tracking.sync import Sync

POLL_S = 1.0
RETRY_S = 2.0
SELDOM_S = 30.0  # between tries where time alone seldom mends the fault: a refusal, a full disk
OFTEN_FOR_S = 10.0  # for some such faults are over at once: a run that somebody deleted is made anew
GIVE_UP_AFTER_END_S = 10.0  # without progress, once the journal has ended


def follow(sync: "Sync", driver_pid: int) -> None:
    """Send until the journal ends, or until its driver is dead and everything it wrote is sent.

    A store that takes nothing then is tried for GIVE_UP_AFTER_END_S, or once where that was so for longer.
    """

    def is_alone() -> bool:
        return os.getppid() != driver_pid

    def send() -> bool:
        driver_is_dead = is_alone()  # asked first: what it wrote before its end is read
        sync.pass_once()
        if driver_is_dead and not sync.ended:
            sync.close_abandoned()
        if driver_is_dead or sync.done:
            return True
        time.sleep(POLL_S)
        return False

    def patience_s(fault: StoreFault) -> float | None:
        return GIVE_UP_AFTER_END_S if is_alone() or sync.journal_ended else None

    keep_trying(sync, send, patience_s)


def keep_trying(
    sync: "Sync",
    send: Callable[[], bool],
    patience_s: Callable[[StoreFault], float | None],
    hear: Callable[[StoreFault, float], None] = lambda fault, for_s: None,
) -> StoreFault | None:
    """Repeat `send` until it returns True; return the fault where it made no progress for longer than `patience_s`.

    A fault's patience may be None: for ever. `hear` gets each fault, and for how long nothing could be sent.
    """
    faulty_since_s: float | None = None
    furthest = sync.outcome.progress
    while True:
        try:
            if send():
                return None
            faulty_since_s = None
        except STORE_FAULTS as error:
            fault = sync.report(error)
            now_s = time.monotonic()
            if faulty_since_s is None or sync.outcome.progress > furthest:
                faulty_since_s = now_s
            furthest = max(furthest, sync.outcome.progress)
            _look(sync)
            patience = patience_s(fault)
            hear(fault, now_s - faulty_since_s)
            if patience is not None and now_s - faulty_since_s >= patience:
                return fault
            is_seldom = patience is None and fault.kind != "away" and now_s - faulty_since_s >= OFTEN_FOR_S
            _rest(sync, SELDOM_S if is_seldom else RETRY_S, patience_s, fault)


def _rest(sync: "Sync", for_s: float, patience_s: Callable[[StoreFault], float | None], fault: StoreFault) -> None:
    """Wait until it is time for another try: at once where the sweep ends meanwhile."""
    had_patience = patience_s(fault)
    rested_s = 0.0
    while rested_s < for_s and patience_s(fault) == had_patience:
        time.sleep(min(RETRY_S, for_s - rested_s))
        rested_s += RETRY_S
        _look(sync)


def _look(sync: "Sync") -> None:
    """Read what the sweep has written meanwhile: whether it has ended decides how long is waited."""
    with suppress(OSError):
        sync.look()
