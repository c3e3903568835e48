"""A winner that was registered after the journal said that it was not: journal and report are set right."""

from pathlib import Path

from orchestrator.open_sweep import OpenSweep, opened, state_of
from orchestrator.sweep_report import write_report_or_none
from orchestrator.tracking.outcome import SyncOutcome


def note_registration(sweep: OpenSweep, outcome: SyncOutcome) -> bool:
    """Write what the journal of a sweep that has ended does not know yet, and tell whether there was anything.

    Later commands read it there. Raises DiskFull.
    """
    if not outcome.is_news(sweep.state):
        return False
    sweep.append(outcome.told(sweep.state))
    if sweep.state.has_completed:
        write_report_or_none(sweep.folder, sweep.state)
    return True


def note_registration_in(folder: Path, outcome: SyncOutcome) -> bool:
    """Do the same for a sweep that nobody runs; it is opened only where there is something to write."""
    if not outcome.is_news(state_of(folder)):
        return False
    with opened(folder, lambda event, state: None) as sweep:
        return note_registration(sweep, outcome)
