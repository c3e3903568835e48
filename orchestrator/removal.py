"""What goes when a sweep is removed, and its removal."""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.open_sweep import state_of
from orchestrator.sweep_lock import living_owner, owned


@dataclass(frozen=True)
class Removal:
    """A sweep's folder, what it holds, and what of the sweep stays elsewhere."""

    folder: Path
    files: int
    size_bytes: int
    trials: int
    state: str
    kept_elsewhere: str


def what_would_go(folder: Path) -> Removal:
    """Look at a sweep that is to be removed. Raises BadInput where somebody runs it."""
    owner = living_owner(folder)
    if owner is not None:
        raise BadInput(f"{folder.name}: is run by {owner.name}; end it first with: orchestrate stop {folder.name}")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    try:
        state = state_of(folder)
    except BadInput:  # a damaged journal is no reason to keep it
        trials, how, kept = 0, "its journal is damaged", "what MLflow knows of it stays there"
    else:
        trials, how = len(state.trials), state.ended.state if state.ended else "killed"
        tracked = state.tracked
        if tracked is not None and tracked.registered is not None:
            name = f"{tracked.registered.name} version {tracked.registered.version}"
            kept = f"its runs and {name} stay in {tracked.tracking_uri}"
        elif state.winner is not None:
            kept = f"its winner is registered nowhere and goes; orchestrate sync {folder.name} registers it first"
        else:
            kept = "what MLflow knows of it stays there; it has no winner"
    return Removal(folder, len(paths), sum(path.stat().st_size for path in paths), trials, how, kept)


def remove_sweep(removal: Removal) -> None:
    """Remove a sweep's folder, and what removals that were broken off left; it is out of every list at once.

    Raises BadInput where somebody runs it.
    """
    folder = removal.folder
    with owned(folder):
        going = folder.parent / f".removed-{secrets.token_hex(4)}"
        folder.rename(going)
        (going / "journal.jsonl").unlink(missing_ok=True)
    for leftover in folder.parent.glob(".removed-*"):
        shutil.rmtree(leftover, ignore_errors=True)
