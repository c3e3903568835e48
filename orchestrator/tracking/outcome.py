"""What sync has done so far, in one small file per store beside the journal; imports no mlflow: the driver reads it."""

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from orchestrator.home import Home
from orchestrator.journal import Registered, SweepTracked
from orchestrator.sweep_state import SweepState

FaultKind = Literal["away", "refused", "local"]  # the last: files of this machine, or a driver that is missing


class SyncOutcome(BaseModel):
    """How far the journal was sent, which runs it became, and what was registered."""

    events_sent: int = 0  # lines of the journal that the store has
    tracking_uri: str = ""
    run_id: str | None = None
    trial_run_ids: dict[int, str] = {}
    registered: Registered | None = None
    registered_for: str = ""  # which model that is: see model_key
    figures_due: list[int] = []  # trials whose figures are drawn when nothing else is to be sent
    error: str | None = None  # why nothing can be sent just now
    error_kind: FaultKind = "away"  # whose fault that is
    missing: dict[int, list[str]] = {}  # by finalist: its files that were gone when they were to be sent

    @property
    def progress(self) -> tuple[int, int]:
        """Return how far it is; what comes later is more."""
        return self.events_sent, -len(self.figures_due)

    @property
    def missing_in_words(self) -> str:
        """Return the line that says which files could not be sent, empty where all were."""
        gone = [path for paths in self.missing.values() for path in paths]
        return f"not sent, for they are gone: {', '.join(gone)}" if gone else ""

    def has_registered(self, state: SweepState) -> bool:
        """Tell whether the sweep's winner, as it is now, has its version."""
        return self.registered is not None and self.registered_for == model_key(state)

    def is_news(self, state: SweepState) -> bool:
        """Tell whether a sweep that has ended knows nothing of its winner's version."""
        if state.ended is None or state.winner is None or not self.has_registered(state):
            return False
        return state.tracked is None or state.tracked.registered != self.registered

    def told(self, state: SweepState) -> SweepTracked:
        """Return the line of the journal that says what became of it in the store."""
        registered = self.registered if self.has_registered(state) else None  # not that of an earlier winner
        return SweepTracked(
            tracking_uri=self.tracking_uri,
            run_id=self.run_id,
            trial_run_ids=self.trial_run_ids,
            registered=registered,
            fault=self.error or ("" if registered else "sync ended before it registered the winner"),
        )


def model_key(state: SweepState) -> str:
    """Return what tells one winner of a sweep from another: the trial and the epoch whose weights are its."""
    assert state.winner is not None
    best = state.trials[state.winner].best
    return f"{state.winner}@{best.epoch if best else 0}"


def tracking_uri(home: Home, given: str | None) -> str:
    """Return the store's URI: MLFLOW_TRACKING_URI as given, else the embedded one."""
    return given or f"sqlite:///{home.mlflow / 'mlflow.db'}"


def without_password(text: str) -> str:
    """Return a URI, or a text that holds some, as it may be shown and stored: user and password left out."""
    text = re.sub(r"://[^/@\s]*@", "://***@", text)
    text = re.sub(r"(?<!http)(?<!https)(?<!sqlite)://[^/@:\s]+:[^@\s]*@", "://***@", text)  # a slash in the password
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", text)


def outcome_file(sweep: Path, home: Home, given_uri: str | None) -> Path:
    """Return where a sweep's outcome in a store is kept: run ids of one store mean nothing in another."""
    store = hashlib.sha256(tracking_uri(home, given_uri).encode()).hexdigest()[:8]
    return sweep / f"sync-{store}.json"


def outcome_files(sweep: Path) -> list[Path]:
    """Return the outcome of a sweep in every store that it was sent to."""
    return sorted(sweep.glob("sync-*.json"))


def read_outcome(path: Path) -> SyncOutcome:
    """Return the outcome so far; an empty one before sync has begun, or for a damaged file: all is found by tag."""
    try:
        return SyncOutcome.model_validate_json(path.read_text())
    except (FileNotFoundError, ValueError):
        return SyncOutcome()


def write_outcome(path: Path, outcome: SyncOutcome) -> None:
    """Replace the file whole."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(outcome.model_dump_json(indent=2))
    os.replace(part, path)
