"""The process that tails a sweep's journal and alone talks to MLflow.

A store that is down or locked costs the sweep nothing: sync waits and goes on from its offset. Every call to the store
may be repeated, so a batch that was broken off is sent again.
"""

import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
    read_events,
)
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.outcome import model_key, outcome_file, read_outcome, write_outcome
from orchestrator.tracking.runs import SweepRuns
from orchestrator.tracking.saved_views import ship_views
from orchestrator.tracking.store import ensure_experiment, open_store, without_password

POLL_S = 0.5
RETRY_S = 2.0
RETRIES_AFTER_END = 2
EVENTS_PER_BATCH = 200
STORE_FAULTS = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)


class Sync:
    """Send one sweep's journal to one store, batch by batch; `outcome` says how far it is."""

    def __init__(self, sweep: Path, home: Home, given_uri: str | None) -> None:
        self._sweep = sweep
        self._home = home
        self._given_uri = given_uri
        self._outcome_file = outcome_file(sweep, home, given_uri)
        self._journal = sweep / "journal.jsonl"
        self._state: SweepState | None = None
        self._runs: SweepRuns | None = None
        self._read_to = 0
        self._num_read = 0
        self._journal_ended = False
        self._waiting: list[Event] = []
        self.outcome = read_outcome(self._outcome_file)

    @property
    def journal_ended(self) -> bool:
        """Tell whether the journal's last line was read."""
        return self._journal_ended

    @property
    def ended(self) -> bool:
        """Tell whether the journal's last line was sent."""
        return self.journal_ended and not self._waiting

    def pass_once(self, told: Callable[[int, int], None] = lambda sent, of: None) -> None:
        """Send what the journal has that the store has not; `told` hears how many of how many lines are sent.

        Raises one of STORE_FAULTS; nothing is lost then.
        """
        self._read()
        if self._state is None:
            return
        if self._runs is None:
            self._runs = self._open(self._state)
        while self._waiting or self.outcome.error:
            batch, later = self._waiting[:EVENTS_PER_BATCH], self._waiting[EVENTS_PER_BATCH:]
            self._send(self._state, self._runs, batch)
            self._waiting = later
            self.outcome.events_sent, self.outcome.error = self._num_read - len(later), None
            write_outcome(self._outcome_file, self.outcome)
            told(self.outcome.events_sent, self._num_read)

    def close_abandoned(self) -> None:
        """Close the runs of a sweep whose driver is gone without a last word."""
        if self._state is not None:
            if self._state.ended is None:
                self._state.apply(SweepEnded(state="interrupted", reason="the driver process died"))
            assert self._runs is not None
            self._runs.send_sweep_end(self._state)

    def report(self, error: Exception) -> None:
        """Leave word of why the store cannot be reached."""
        self.outcome.error = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        write_outcome(self._outcome_file, self.outcome)

    def _read(self) -> None:
        """Fold new events into the state; what an earlier sync has sent is not sent again."""
        events, self._read_to = read_events(self._journal, self._read_to)
        if self._state is not None:
            for event in events:
                self._state.apply(event)
            self._waiting += events
        elif events:
            self._state = replay(events)
            self._waiting = events[self.outcome.events_sent :]
        self._num_read += len(events)
        for event in events:
            if isinstance(event, SweepEnded | SweepResumed):
                self._journal_ended = isinstance(event, SweepEnded)

    def _open(self, state: SweepState) -> SweepRuns:
        client = open_store(self._home, self._given_uri)
        experiment_id = ensure_experiment(client, state.plan.task, self._home)
        ship_views(client, experiment_id, state.plan.task, state.plan.data.kind)
        self.outcome.tracking_uri = without_password(str(client.tracking_uri))
        runs = SweepRuns(client, experiment_id, self._sweep, self.outcome)
        runs.adopt(state.started.sweep_id)
        if self.outcome.run_id is not None:
            runs.reconcile(state)
        elif self.outcome.events_sent:  # somebody deleted it, or the store is a new one
            self.outcome.events_sent, self.outcome.registered = 0, None
            self._waiting = read_events(self._journal)[0][: self._num_read]
        return runs

    def _send(self, state: SweepState, runs: SweepRuns, waiting: Sequence[Event]) -> None:
        """Send some events, one kind after the other: repeating any of it changes nothing."""
        if any(isinstance(event, SweepStarted) for event in waiting) or self.outcome.run_id is None:
            runs.send_sweep(state)
        if any(isinstance(event, SweepResumed) for event in waiting):
            runs.send_resumption(state)
        for event in waiting:
            if isinstance(event, TrialStarted):
                runs.send_trial(state, state.trials[event.trial])
        runs.send_epochs(state, [event for event in waiting if isinstance(event, EpochEnded)])
        for event in waiting:
            if isinstance(event, TrialEnded) and state.trials[event.trial].has_ended:  # it may have gone on since
                runs.send_trial_end(state, state.trials[event.trial])
            elif isinstance(event, FinalistEvaluated):
                runs.send_finalist(state, event)
            elif isinstance(event, FoldEvaluated):
                runs.send_fold(state, event)
            elif isinstance(event, WinnerChosen) and event.trial == state.winner and runs.can_register(state):
                self.outcome.registered, self.outcome.registered_for = runs.register(state), model_key(state)
            elif isinstance(event, SweepEnded) and event == state.ended:
                runs.send_sweep_end(state)
                runs.reconcile(state)


def lock_file(sweep: Path, home: Home, given_uri: str | None) -> Path:
    """Return the file that whoever sends a sweep to a store holds locked meanwhile."""
    return outcome_file(sweep, home, given_uri).with_suffix(".lock")


def follow(sync: Sync, driver_pid: int) -> None:
    """Send until the journal ends, or until its driver is dead and everything it wrote is sent."""
    retries_left = RETRIES_AFTER_END
    driver_is_dead = False
    while driver_is_dead or not sync.ended:
        driver_is_dead = os.getppid() != driver_pid
        try:
            sync.pass_once()
            if driver_is_dead:
                if not sync.ended:
                    sync.close_abandoned()
                return
        except STORE_FAULTS as error:
            sync.report(error)
            if driver_is_dead or sync.journal_ended:
                retries_left -= 1
                if retries_left == 0:
                    return
            time.sleep(RETRY_S)
        time.sleep(POLL_S)


def main() -> None:
    """Run sync for one sweep; ends with its sweep, whatever becomes of the terminal."""
    sweep, home, driver_pid = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    given_uri = os.environ.get("MLFLOW_TRACKING_URI") or None
    with lock_file(sweep, Home(home), given_uri).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # that of a driver that died may still be closing its runs
        follow(Sync(sweep, Home(home), given_uri), driver_pid)


if __name__ == "__main__":
    main()
