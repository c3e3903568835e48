"""Start, watch and await the sync process; imports no mlflow, so the driver stays light."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.home import Home
from orchestrator.sweep_lock import STOP_REQUEST
from orchestrator.tracking.outcome import (
    SyncOutcome,
    outcome_file,
    read_outcome,
    tracking_uri,
    without_password,
    write_outcome,
)
from orchestrator.tracking.store_reach import SAY_AFTER_S, StoreReach

POLL_S = 0.2
WATCH_S = 1.0
MAX_STARTS = 3
REGISTER_WITHIN_S = 300.0


class SyncProcess:
    """The process that sends one sweep's journal to MLflow, in a session of its own: Ctrl-C does not reach it.

    A thread starts it again where something killed it, and says by `told` when nothing can be sent, why, and when it
    goes on: a line each.
    """

    def __init__(
        self, sweep: Path, home: Home, given_uri: str | None, told: Callable[[str], None] = lambda text: None
    ) -> None:
        self._sweep = sweep
        self._outcome = outcome_file(sweep, home, given_uri)
        self._command = [
            sys.executable,
            "-m",
            "orchestrator.tracking.sync",
            str(sweep),
            str(home.root),
            str(os.getpid()),
        ]
        # in the environment, as it may hold a password: command lines are seen by everybody
        self._environment = os.environ | {"MLFLOW_TRACKING_URI": given_uri or ""}
        self._reach = StoreReach(without_password(tracking_uri(home, given_uri)), sweep.name)
        self._told = told
        self._starts_left = MAX_STARTS
        self._starting = threading.Lock()
        self._forget_old_fault()
        self._process = self._start()
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_over_sync, name="watch over sync", daemon=True)
        self._watch.start()

    def wait_until(self, done: Callable[[SyncOutcome], bool]) -> None:
        """Wait until the outcome is `done`, nothing can be sent for too long, or the sweep is asked to end.

        A sync that was killed is started again: it goes on from its offset.
        """
        began_s = time.monotonic()
        while True:
            is_alive = self._is_alive()  # asked first: what it wrote before its end is seen
            now_s = time.monotonic()
            gave_up = self._reach.is_hopeless(now_s) or now_s - began_s > REGISTER_WITHIN_S
            if done(read_outcome(self._outcome)) or gave_up or not is_alive or self._is_asked_to_end():
                return
            time.sleep(POLL_S)

    def close(self, within_s: float = REGISTER_WITHIN_S) -> None:
        """Wait until the journal's last line was sent, or sync has given up; after that time it goes on alone.

        Who asks the sweep to end does not wait so long either.
        """
        began_s = time.monotonic()
        was_said, has_time = False, within_s == REGISTER_WITHIN_S
        while self._is_alive() and time.monotonic() - began_s < within_s:
            if has_time and self._is_asked_to_end():
                break
            if not was_said and has_time and time.monotonic() - began_s > SAY_AFTER_S:
                self._say_what_is_left()
                was_said = True
            time.sleep(POLL_S)
        self._closing.set()
        self._watch.join()

    def _is_asked_to_end(self) -> bool:
        return (self._sweep / STOP_REQUEST).exists()

    def _say_what_is_left(self) -> None:
        outcome = read_outcome(self._outcome)
        lines = (self._sweep / "journal.jsonl").read_bytes().count(b"\n")
        if outcome.figures_due and outcome.error is None and outcome.events_sent == lines:
            told = f"MLflow has all numbers, figures of {len(outcome.figures_due)} trials follow"
            self._told(f"{told}; who does not wait for them (Ctrl-C) leaves that to the background")

    def _watch_over_sync(self) -> None:
        """Hear each second how sync fares, until `close`."""
        while not self._closing.wait(WATCH_S):
            if not self._is_alive() and self._process.returncode != 0:
                later = f"orchestrate sync {self._sweep.name} sends the rest later"
                self._told(f"sync with MLflow came to no end of its own (why: {self._sweep / 'sync.log'}): {later}")
                return
            said = self._reach.hear(read_outcome(self._outcome), time.monotonic())
            if said is not None:
                self._told(said)

    def _is_alive(self) -> bool:
        """Tell whether sync is at work, after starting it again where something killed it."""
        with self._starting:
            if self._process.poll() is None:
                return True
            if self._process.returncode == 0 or self._starts_left == 0:
                return False
            self._process = self._start()
            return True

    def _forget_old_fault(self) -> None:
        """What kept an earlier sync of the sweep from its store is no news of this one."""
        outcome = read_outcome(self._outcome)
        if outcome.error is not None:
            outcome.error = None
            write_outcome(self._outcome, outcome)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._starts_left -= 1
        with (self._sweep / "sync.log").open("ab") as log:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
