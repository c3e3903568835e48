"""What sync has done so far, in one small file beside the journal; imports no mlflow, so the driver may read it."""

import os
from pathlib import Path

from pydantic import BaseModel

from orchestrator.journal import Registered
from orchestrator.sweep_state import SweepState

FILE = "sync.json"


class SyncOutcome(BaseModel):
    """How far the journal was sent, which runs it became, and what was registered."""

    events_sent: int = 0  # lines of the journal that the store has
    tracking_uri: str = ""
    run_id: str | None = None
    trial_run_ids: dict[int, str] = {}
    registered: Registered | None = None
    registered_for: str = ""  # which model that is: see model_key
    error: str | None = None  # why the store cannot be reached just now

    def has_registered(self, state: SweepState) -> bool:
        """Tell whether the sweep's winner, as it is now, has its version."""
        return self.registered is not None and self.registered_for == model_key(state)


def model_key(state: SweepState) -> str:
    """Return what tells one winner of a sweep from another: the trial and the epoch whose weights are its."""
    assert state.winner is not None
    best = state.trials[state.winner].best
    return f"{state.winner}@{best.epoch if best else 0}"


def read_outcome(folder: Path) -> SyncOutcome:
    """Return the outcome so far; an empty one before sync has begun."""
    try:
        return SyncOutcome.model_validate_json((folder / FILE).read_text())
    except FileNotFoundError:
        return SyncOutcome()


def write_outcome(folder: Path, outcome: SyncOutcome) -> None:
    """Replace the file whole."""
    part = folder / f"{FILE}.part"
    part.write_text(outcome.model_dump_json(indent=2))
    os.replace(part, folder / FILE)
