"""What sync has done so far, in one small file beside the journal; imports no mlflow, so the driver may read it."""

import os
from pathlib import Path

from pydantic import BaseModel

from orchestrator.journal import Registered

FILE = "sync.json"


class SyncOutcome(BaseModel):
    """How far the journal was sent, which runs it became, and what was registered."""

    events_sent: int = 0  # lines of the journal that the store has
    tracking_uri: str = ""
    run_id: str | None = None
    trial_run_ids: dict[int, str] = {}
    registered: Registered | None = None
    error: str | None = None  # why the store cannot be reached just now


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
