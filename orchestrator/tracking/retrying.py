"""How long and how often a store is asked again: by the sync of a sweep that runs, and by `orchestrate sync`."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.tracking.outcome import FaultKind
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
    trouble = _Trouble(sync.outcome.progress)
    while True:
        try:
            if send():
                return None
            trouble.end()
        except STORE_FAULTS as error:
            fault = sync.report(error)
            for_s = trouble.hear(fault, sync.outcome.progress, time.monotonic())
            _look(sync)
            patience = patience_s(fault)
            hear(fault, for_s)
            if patience is not None and for_s >= patience:
                return fault
            is_seldom = patience is None and fault.kind != "away" and for_s >= OFTEN_FOR_S
            _rest(sync, SELDOM_S if is_seldom else RETRY_S, patience_s, fault)


class _Trouble:
    """For how long nothing could be sent; a refusal after an outage is one anew, as a second try may mend it."""

    def __init__(self, progress: tuple[int, int]) -> None:
        self._furthest = progress
        self._began_s: float | None = None
        self._kind_began_s = 0.0
        self._kind: FaultKind | None = None

    def end(self) -> None:
        """Take in that everything was sent."""
        self._began_s = self._kind = None

    def hear(self, fault: StoreFault, progress: tuple[int, int], now_s: float) -> float:
        """Take in a fault and return for how long it has been so."""
        if self._began_s is None or progress > self._furthest:
            self._began_s, self._kind = now_s, None
        self._furthest = max(self._furthest, progress)
        if fault.kind != self._kind:
            self._kind, self._kind_began_s = fault.kind, now_s
        return now_s - (self._began_s if fault.kind == "away" else self._kind_began_s)


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
