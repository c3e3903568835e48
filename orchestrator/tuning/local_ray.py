"""A Ray of our own on this machine: started, watched, ended."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import ray

from orchestrator.errors import Interrupted
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.stopping import Stopping
from trainables.errors import first_line

OBJECT_STORE_BYTES = 200 * 2**20  # images go by memory map, so Ray's store carries only small results
WATCH_S = 0.25
LOST_GRACE_S = 12.0  # a lost Ray leaves calls that never return; those who made them have so long
SHUTDOWN_S = 2.0  # our own end of Ray looks like its loss for a moment
STOPPING_GRACE_S = 14.0  # a Ray that was asked to end with its driver takes long to be lost
CORE_PROCESSES = ("gcs_server", "raylet")
STARTS = 3  # Ray gives its node 30 s; on a machine that is busy for a moment a later start is in time

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints on stdout whatever the verbosity
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours also hears SIGTERM
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports its reason and no metric
    "TUNE_MAX_PENDING_TRIALS_PG": "1024",  # the searcher alone limits how many run at once
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is the state; Tune's snapshots cost more with every trial
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextmanager
def local_ray(
    slots: Slots, stopping: Stopping, stop_request: Path, last_words: Callable[[str], None]
) -> Iterator[None]:
    """Start a Ray of our own on this machine, and end it with the block.

    The first Ctrl-C or SIGTERM, the file `stop_request`, and the loss of Ray ask `stopping` for the end. A second
    signal ends this process at once, and so does a lost Ray that lets no call return: after `last_words`, which hears
    the reason. Ray's processes follow. Raises Interrupted where Ray does not start.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what ends a trial is told by the journal, in one line
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    previous = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}  # nohup
    _start(slots)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping.requested:
            _end_at_once(core)
        stopping.request("user")
        stop_request.touch()

    core = core_processes()
    # ray.init replaces the SIGTERM handler, so ours come after it
    for number in previous:
        signal.signal(number, on_signal)
    ended = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(core, stopping, stop_request, last_words, ended), name="watch over Ray", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        ray.shutdown()
        ended.set()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _start(slots: Slots) -> None:
    for attempt in range(STARTS):
        before = core_processes()
        try:
            ray.init(
                address="local",
                num_cpus=slots.count,
                num_gpus=slots.gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                object_store_memory=OBJECT_STORE_BYTES,
            )
            return
        except Exception as fault:  # a node that is late raises just that, one without a port something else
            _kill({pid: name for pid, name in core_processes().items() if pid not in before})
            if attempt == STARTS - 1:
                reason = first_line(fault)
                raise Interrupted(f"Ray did not start in {STARTS} tries ({reason}); is this machine busy?") from fault


def core_processes() -> dict[int, str]:
    """Return the processes of this process's Ray without which nothing goes on: pid -> name. Linux only."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = status.read_text().rpartition(")")
        except OSError:
            continue
        name, state_and_parent = before.partition("(")[2], after.split()[:2]
        if name in CORE_PROCESSES and state_and_parent[0] not in "ZX" and int(state_and_parent[1]) == os.getpid():
            found[int(status.parent.name)] = name
    return found


def lost_process(core: dict[int, str]) -> str:
    """Return the name of a core process that is gone; empty where all are alive."""
    for pid, name in core.items():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return name
        if state in "ZX":
            return name
    return ""


def _watch(
    core: dict[int, str],
    stopping: Stopping,
    stop_request: Path,
    last_words: Callable[[str], None],
    ended: threading.Event,
) -> None:
    lost_at_s: float | None = None
    while not ended.wait(WATCH_S):
        if not stopping.requested and stop_request.exists():
            stopping.request("user")
        lost = lost_process(core)
        if lost and lost_at_s is None:
            lost_at_s = time.monotonic()
            stopping.request("ray", f"its {lost} ended")
        lost_for_s = 0.0 if lost_at_s is None else time.monotonic() - lost_at_s
        too_late = lost_for_s > SHUTDOWN_S and stopping.requested_for_s > STOPPING_GRACE_S
        if lost_for_s > LOST_GRACE_S or too_late:
            last_words(stopping.reason)
            _end_at_once(core)


def _end_at_once(core: dict[int, str]) -> None:
    _kill(core)
    os._exit(Interrupted.exit_code)


def _kill(core: dict[int, str]) -> None:
    """End Ray's processes, agents among them: those would wait a minute for a core that is gone."""
    parents = dict(_parents())
    for pid in [pid for pid in parents if _descends(pid, core, parents)] + list(core):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _parents() -> Iterator[tuple[int, int]]:
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            yield int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue


def _descends(pid: int, core: dict[int, str], parents: dict[int, int]) -> bool:
    """Tell whether a process is below one of Ray's, or was an agent of one that is gone."""
    while pid in parents:
        pid = parents[pid]
        if pid in core:
            return True
    return False
