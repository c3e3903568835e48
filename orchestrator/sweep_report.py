"""The report of a sweep, from its journal: what was found, for people."""

from contextlib import suppress
from pathlib import Path

from orchestrator.report.writer import page_of_sweep, write_report
from orchestrator.sweep_state import SweepState


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
