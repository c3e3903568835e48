"""The process that tails a sweep's journal and alone talks to MLflow.

A store that is down or locked costs the sweep nothing: sync waits and goes on from its offset. A call that failed may
have been carried out: before a batch that was broken off is sent again, the runs that the store has are found anew.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    SweepTracked,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
    read_events,
)
from orchestrator.own_tasks import load_own_tasks
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.outcome import (
    model_key,
    outcome_file,
    read_outcome,
    tracking_uri,
    without_password,
    write_outcome,
)
from orchestrator.tracking.retrying import follow
from orchestrator.tracking.runs import SweepRuns
from orchestrator.tracking.saved_views import ship_views
from orchestrator.tracking.store import ENVIRONMENT_OF_A_WRITER, ensure_experiment, open_store
from orchestrator.tracking.store_fault import STORE_FAULTS, StoreFault, fault_of

EVENTS_PER_BATCH = 1000  # fewer while calls fail: one call in ten that does must not undo all of the others
NICE = 10  # trials come first


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
        self._batch_size = EVENTS_PER_BATCH
        self._events: list[Event] = []  # of the journal, up to `_read_to`; the first `outcome.events_sent` are sent
        self._read_to = 0
        self._journal_ended = False
        self.outcome = read_outcome(self._outcome_file)
        self.outcome.tracking_uri = without_password(tracking_uri(home, given_uri))

    @property
    def journal_ended(self) -> bool:
        """Tell whether the journal's last line was read."""
        return self._journal_ended

    @property
    def done(self) -> bool:
        """Tell whether the journal's last line was sent, and every figure."""
        return self.ended and not self.outcome.figures_due

    @property
    def ended(self) -> bool:
        """Tell whether the journal's last line was sent."""
        return self.journal_ended and self.outcome.events_sent == len(self._events)

    def pass_once(self, told: Callable[[int, int], None] = lambda sent, of: None) -> None:
        """Send what the journal has that the store has not; `told` hears how many of how many lines are sent.

        Figures come last, and most wait on where the journal has grown meanwhile. Raises one of STORE_FAULTS, and
        nothing is lost then.
        """
        self.look()
        if self._state is None:
            return
        with self._sending():
            if self._runs is None:
                self._runs = self._open(self._state)
            self._send_waiting(self._state, self._runs, told)
            self._send_figures(self._state, self._runs)

    def close_abandoned(self) -> None:
        """Close the runs of a sweep whose driver is gone without a last word."""
        if self._state is not None:
            if self._state.ended is None:
                self._state.apply(SweepEnded(state="interrupted", reason="the driver process died"))
            with self._sending():
                assert self._runs is not None
                self._runs.send_sweep_end(self._state)
                self._send_figures(self._state, self._runs)

    def report(self, error: BaseException) -> StoreFault:
        """Leave word of why nothing can be sent, and return it."""
        fault = fault_of(error)
        self.outcome.error, self.outcome.error_kind = fault.reason, fault.kind
        with suppress(OSError):  # it may be this disk that is full
            write_outcome(self._outcome_file, self.outcome)
        return fault

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """Forget after a fault which runs there are, and take less at a time."""
        try:
            yield
        except STORE_FAULTS:
            self._runs = None
            self._batch_size = max(1, self._batch_size // 4)
            raise

    def look(self) -> None:
        """Fold new lines of the journal into the state. Raises OSError where it cannot be read."""
        events, self._read_to = read_events(self._journal, self._read_to)
        self._events += events
        if self._state is not None:
            for event in events:
                self._state.apply(event)
        elif events:
            self._state = replay(events)
            # of those that an earlier sync sent a journal may have lost some with its machine
            self.outcome.events_sent = min(self.outcome.events_sent, len(events))
        for event in events:
            if isinstance(event, SweepEnded | SweepResumed):
                self._journal_ended = isinstance(event, SweepEnded)

    def _open(self, state: SweepState) -> SweepRuns:
        """Find out what the store has of the sweep, and hold it against what was sent so far."""
        client = open_store(self._home, self._given_uri)
        os.environ.update(ENVIRONMENT_OF_A_WRITER)
        experiment_id = ensure_experiment(client, state.plan.task, self._home)
        ship_views(client, experiment_id, state.plan.task, state.plan.data.kind)
        runs = SweepRuns(client, experiment_id, self._sweep, self.outcome, self._home)
        runs.adopt(state.started.sweep_id)
        if runs.lines_held < self.outcome.events_sent:
            self._go_back(runs.lines_held)
        if self.outcome.events_sent:
            runs.reconcile(replay(self._events[: self.outcome.events_sent]))
        return runs

    def _go_back(self, lines: int) -> None:
        """Go on from what a store has: it is a new one, was put back from a backup, or somebody deleted runs."""
        held, lost = self._events[:lines], self._events[lines:]
        if any(isinstance(event, WinnerChosen) for event in lost):
            self.outcome.registered, self.outcome.registered_for = None, ""
        trials = replay(held).trials.values() if held else ()
        self.outcome.figures_due = [trial.number for trial in trials if trial.has_ended and trial.best is not None]
        self.outcome.events_sent = lines

    def _send_waiting(self, state: SweepState, runs: SweepRuns, told: Callable[[int, int], None]) -> None:
        while self.outcome.events_sent < len(self._events) or self.outcome.error:
            batch = self._events[self.outcome.events_sent : self.outcome.events_sent + self._batch_size]
            self._send(state, runs, batch)
            runs.note_lines(self.outcome.events_sent + len(batch))
            self._batch_size = min(EVENTS_PER_BATCH, 2 * self._batch_size)
            self.outcome.events_sent, self.outcome.error = self.outcome.events_sent + len(batch), None
            write_outcome(self._outcome_file, self.outcome)
            told(self.outcome.events_sent, len(self._events))

    def _send_figures(self, state: SweepState, runs: SweepRuns) -> None:
        """Draw and send the figures of trials that have ended: one, then more while the journal tells nothing new."""
        while self.outcome.figures_due:
            runs.send_figures(state, state.trials[self.outcome.figures_due[0]])
            del self.outcome.figures_due[0]
            write_outcome(self._outcome_file, self.outcome)
            if self._journal.stat().st_size > self._read_to:
                return

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
            elif isinstance(event, EpochEnded | SweepResumed):
                runs.send_void(state, event)
            elif isinstance(event, FinalistEvaluated):
                runs.send_finalist(state, event)
            elif isinstance(event, FoldEvaluated | SeedEvaluated):
                runs.send_retrained(state, event)
            elif isinstance(event, WinnerChosen) and event.trial == state.winner and runs.can_register(state):
                self.outcome.registered, self.outcome.registered_for = runs.register(state), model_key(state)
            elif isinstance(event, SweepEnded) and event == state.ended:
                runs.send_all()
                runs.send_sweep_end(state)
                runs.reconcile(state)
            elif isinstance(event, SweepTracked) and state.ended is not None:  # the winner was registered late
                runs.send_report(state)
        runs.send_all()


def lock_file(sweep: Path, home: Home, given_uri: str | None) -> Path:
    """Return the file that whoever sends a sweep to a store holds locked meanwhile."""
    return outcome_file(sweep, home, given_uri).with_suffix(".lock")


def _let_trials_come_first() -> None:
    """Take what CPU time others leave. On Linux a session has a share of its own: how nice it is counts, too."""
    os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE))


def main() -> None:
    """Run sync for one sweep; ends with its sweep, whatever becomes of the terminal."""
    _let_trials_come_first()
    sweep, home, driver_pid = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    given_uri = os.environ.get("MLFLOW_TRACKING_URI") or None
    load_own_tasks(Home(home))
    with lock_file(sweep, Home(home), given_uri).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # that of a driver that died may still be closing its runs
        sync = Sync(sweep, Home(home), given_uri)
        follow(sync, driver_pid)
        if sync.outcome.missing_in_words:
            sys.stderr.write(f"{sync.outcome.missing_in_words}\n")  # sync.log


if __name__ == "__main__":
    main()
