"""The report of a sweep, from its journal: what was found, for people."""

from contextlib import suppress
from pathlib import Path

from orchestrator.open_sweep import OpenSweep
from orchestrator.report.writer import page_of_sweep, write_report
from orchestrator.sweep_state import SweepState

MOST_TRIALS_AT_EXIT = 500  # take about a second; who presses Ctrl-C does not wait for more


def write_sweep_report(folder: Path, state: SweepState, out: Path | None = None) -> Path:
    """Write the report of a sweep and return its page. Raises OSError where there is no room or no right to."""
    from orchestrator.tuning.importance import parameter_importances

    return write_report(folder, state, parameter_importances(state), out)


def write_report_or_none(folder: Path, state: SweepState) -> None:
    """Write the report; a fault of it costs no sweep, for `orchestrate report` tells it again."""
    try:
        write_sweep_report(folder, state)
    except Exception:  # noqa: BLE001
        with suppress(OSError):
            page_of_sweep(folder).unlink()  # of an earlier end


def report_what_there_is(sweep: OpenSweep) -> None:
    """Write the report of a sweep that was broken off, if any trial has ended, and say where it is.

    Where it would take long, cannot be written, or the user does not wait for it: say the command that writes it.
    """
    state = sweep.state
    if not any(trial.has_ended for trial in state.trials.values()):
        return
    said = f"for a report of what there is: orchestrate report {state.started.sweep_id}"
    if len(state.trials) <= MOST_TRIALS_AT_EXIT:
        with suppress(Exception, KeyboardInterrupt):
            said = f"report of what there is: {write_sweep_report(sweep.folder, state)}"
    sweep.tell(said)
