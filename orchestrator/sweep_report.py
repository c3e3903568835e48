"""The report of a sweep, from its journal: what was found, for people."""

from pathlib import Path

from orchestrator.report.writer import write_report
from orchestrator.sweep_state import SweepState


def write_sweep_report(folder: Path, state: SweepState, out: Path | None = None) -> Path:
    """Write the report of a sweep and return its page. Raises OSError where there is no room or no right to."""
    from orchestrator.tuning.importance import parameter_importances

    return write_report(folder, state, parameter_importances(state), out)
