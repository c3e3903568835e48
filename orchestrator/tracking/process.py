"""Start and await the sync process; imports no mlflow, so the driver stays light."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.home import Home
from orchestrator.tracking.outcome import SyncOutcome, outcome_file, read_outcome

POLL_S = 0.2
MAX_STARTS = 3
REGISTER_WITHIN_S = 300.0
GIVE_UP_ON_FAULT_S = 10.0


class SyncProcess:
    """The process that sends one sweep's journal to MLflow, in a session of its own: Ctrl-C does not reach it."""

    def __init__(self, sweep: Path, home: Home, given_uri: str | None) -> None:
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
        self._starts_left = MAX_STARTS
        self._process = self._start()

    def wait_until(self, done: Callable[[SyncOutcome], bool]) -> None:
        """Wait until the outcome is `done`, or its store stays out of reach.

        A sync that was killed is started again: it goes on from its offset.
        """
        began_s = time.monotonic()
        faulty_since_s: float | None = None
        while True:
            outcome = read_outcome(self._outcome)
            now_s = time.monotonic()
            faulty_since_s = None if outcome.error is None else (faulty_since_s or now_s)
            gave_up = faulty_since_s is not None and now_s - faulty_since_s > GIVE_UP_ON_FAULT_S
            if done(outcome) or gave_up or now_s - began_s > REGISTER_WITHIN_S or not self._is_alive():
                return
            time.sleep(POLL_S)

    def close(self, within_s: float = REGISTER_WITHIN_S) -> None:
        """Wait until the journal's last line was sent, or sync has given up; after that time it goes on alone."""
        deadline_s = time.monotonic() + within_s
        while self._is_alive():
            try:
                self._process.wait(timeout=max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                return

    def _is_alive(self) -> bool:
        """Tell whether sync is at work, after starting it again where something killed it."""
        if self._process.poll() is None:
            return True
        if self._process.returncode == 0 or self._starts_left == 0:
            return False
        self._process = self._start()
        return True

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
