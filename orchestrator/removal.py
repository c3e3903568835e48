"""What goes when a sweep is removed, and its removal."""

import fcntl
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.open_sweep import JOURNAL, state_of
from orchestrator.stored_sweep import remove_stored
from orchestrator.sweep_lock import living_owner, owned
from orchestrator.sweep_state import SweepState
from orchestrator.tracking.outcome import outcome_files, read_outcome


@dataclass(frozen=True)
class Removal:
    """A sweep's folder, what it holds, and what of the sweep stays elsewhere."""

    folder: Path
    files: int
    size_bytes: int
    trials: int
    state: str
    kept_elsewhere: str
    unsent: str = ""  # what to do first, where no store has all of the sweep


def what_would_go(folder: Path) -> Removal:
    """Look at a sweep that is to be removed. Raises BadInput where somebody runs it, or sends it to a store."""
    owner = living_owner(folder)
    if owner is not None:
        raise BadInput(f"{folder.name}: is run by {owner.name}; end it first with: orchestrate stop {folder.name}")
    _require_unlocked(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    try:
        state = state_of(folder)
    except BadInput:  # a damaged journal is no reason to keep it
        trials, how, kept, unsent = 0, "its journal is damaged", "what MLflow knows of it stays there", ""
    else:
        unsent = "" if _is_sent(folder, state) else f"not all of it is in MLflow; orchestrate sync {folder.name} first"
        trials, how = len(state.trials), state.ended.state if state.ended else "killed"
        tracked = state.tracked
        if tracked is not None and tracked.registered is not None:
            name = f"{tracked.registered.name} version {tracked.registered.version}"
            kept = f"its runs and {name} stay in {tracked.tracking_uri}"
        elif state.winner is not None:
            kept = f"its winner is registered nowhere and goes; orchestrate sync {folder.name} registers it first"
        else:
            kept = "what MLflow knows of it stays there; it has no winner"
    return Removal(folder, len(paths), sum(path.stat().st_size for path in paths), trials, how, kept, unsent)


def remove_sweep(removal: Removal) -> None:
    """Remove a sweep's folder, its copy in a store, and what removals that were broken off left: out of every list.

    Raises BadInput where somebody runs it, or sends it to a store, and where its object store does not answer.
    """
    folder = removal.folder
    with owned(folder):
        _require_unlocked(folder)
        remove_stored(folder)
        going = folder.parent / f".removed-{secrets.token_hex(4)}"
        folder.rename(going)
        (going / "journal.jsonl").unlink(missing_ok=True)
    for leftover in folder.parent.glob(".removed-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _is_sent(folder: Path, state: SweepState) -> bool:
    """Tell whether some store has every line of a sweep that has ended, and every figure."""
    lines = (folder / JOURNAL).read_bytes().count(b"\n")
    outcomes = [read_outcome(path) for path in outcome_files(folder)]
    return state.ended is not None and any(one.events_sent >= lines and not one.figures_due for one in outcomes)


def _require_unlocked(folder: Path) -> None:
    """Raise BadInput while a process sends the sweep to a store: it would write into a folder that is gone."""
    for path in folder.glob("sync-*.lock"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(f"{folder.name}: is being sent to MLflow; wait until that is done") from None
