"""Signals, the request to stop and the loss of Ray, heard while a sweep is inside Ray's calls."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from orchestrator.errors import Interrupted
from orchestrator.tuning.stopping import Stopping

WATCH_S = 0.25
LOST_GRACE_S = 12.0  # a lost Ray leaves calls that never return; those who made them have so long
SHUTDOWN_S = 2.0  # our own end of Ray looks like its loss for a moment
STOPPING_GRACE_S = 14.0  # a Ray that was asked to end with its driver takes long to be lost
Handlers = Mapping[int, Any]


def own_handlers() -> Handlers:
    """Return who hears signals now, but for those that nobody is to hear; taken before `ray.init` replaces them."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}  # nohup


def put_back(handlers: Handlers) -> None:
    """Let those hear signals who did before."""
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextmanager
def watched(
    stopping: Stopping,
    stop_request: Path,
    last_words: Callable[[str], None],
    lost: Callable[[], str],
    end_of_ray: Callable[[], None],
    handlers: Handlers,
) -> Iterator[None]:
    """Hear, until the end of the block, what asks `stopping` for the end.

    That are the first Ctrl-C or SIGTERM, the file `stop_request`, and what `lost` tells of Ray. A second signal ends
    this process at once, and so does a lost Ray that lets no call return: after `last_words`, which hears the reason,
    and `end_of_ray`. `handlers` hear signals again afterwards.
    """

    def end_at_once() -> None:
        end_of_ray()
        os._exit(Interrupted.exit_code)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping.requested:
            end_at_once()
        stopping.request("user")
        stop_request.touch()

    def watch() -> None:
        lost_at_s: float | None = None
        while not ended.wait(WATCH_S):
            if not stopping.requested and stop_request.exists():
                stopping.request("user")
            what = lost()
            if what and lost_at_s is None:
                lost_at_s = time.monotonic()
                stopping.request("ray", what)
            lost_for_s = 0.0 if lost_at_s is None else time.monotonic() - lost_at_s
            too_late = lost_for_s > SHUTDOWN_S and stopping.requested_for_s > STOPPING_GRACE_S
            if lost_for_s > LOST_GRACE_S or too_late:
                last_words(stopping.reason)
                end_at_once()

    for number in handlers:
        signal.signal(number, on_signal)
    ended = threading.Event()
    threading.Thread(target=watch, name="watch over Ray", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        put_back(handlers)
