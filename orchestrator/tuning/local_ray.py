"""A Ray of our own on this machine: started, watched, ended."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from orchestrator.errors import Interrupted
from orchestrator.tuning.ray_watch import own_handlers, watched
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.stopping import Stopping
from trainables.errors import first_line

OBJECT_STORE_BYTES = 200 * 2**20  # images go by memory map, so Ray's store carries only small results
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
    """Start a Ray of our own on this machine, and end it with the block; what is heard meanwhile: see `watched`.

    Ray's processes end with this one. Raises Interrupted where Ray does not start.
    """
    os.environ.update(ENVIRONMENT)
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what ends a trial is told by the journal, in one line
    handlers = own_handlers()
    _start(slots)
    core = core_processes()

    def lost() -> str:
        name = lost_process(core)
        return f"its {name} ended" if name else ""

    with watched(stopping, stop_request, last_words, lost, lambda: _kill(core), handlers):
        try:
            yield
        finally:
            ray.shutdown()


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
