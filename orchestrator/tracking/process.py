"""Start and await the sync process; imports no mlflow, so the driver stays light."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.home import Home
from orchestrator.tracking.outcome import SyncOutcome, read_outcome

POLL_S = 0.2
REGISTER_WITHIN_S = 300.0
GIVE_UP_ON_FAULT_S = 20.0


class SyncProcess:
    """The process that sends one sweep's journal to MLflow, in a session of its own: Ctrl-C does not reach it."""

    def __init__(self, sweep: Path, home: Home, given_uri: str | None) -> None:
        self._sweep = sweep
        arguments = [str(sweep), str(home.root), str(os.getpid())]
        with (sweep / "sync.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.tracking.sync", *arguments],
                env=os.environ
                | {"MLFLOW_TRACKING_URI": given_uri or ""},  # it may hold a password; command lines are public
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until(self, done: Callable[[SyncOutcome], bool]) -> SyncOutcome:
        """Return the outcome once `done`, or as it is when sync died or its store stays out of reach."""
        began_s = time.monotonic()
        faulty_since_s: float | None = None
        while True:
            outcome = read_outcome(self._sweep)
            now_s = time.monotonic()
            faulty_since_s = None if outcome.error is None else (faulty_since_s or now_s)
            gave_up = faulty_since_s is not None and now_s - faulty_since_s > GIVE_UP_ON_FAULT_S
            if done(outcome) or gave_up or self._process.poll() is not None or now_s - began_s > REGISTER_WITHIN_S:
                return read_outcome(self._sweep)
            time.sleep(POLL_S)

    def close(self) -> bool:
        """Wait for the end of the process after the journal's last line; return whether it ended well."""
        try:
            return self._process.wait(timeout=REGISTER_WITHIN_S) == 0
        except subprocess.TimeoutExpired:
            self._process.terminate()
            return False
