"""The sweeps of the home that the environment names, as commands see them."""

from orchestrator.cli import environment
from orchestrator.cli.console import messages
from orchestrator.history import all_sweeps
from orchestrator.sweep_state import SweepState


def known_sweeps() -> list[SweepState]:
    """Return the home's sweeps after a line on stderr for each that cannot be read."""
    sweeps, faults = all_sweeps(environment.home_to_read())
    for fault in faults:
        messages().print(fault, soft_wrap=True)
    return sweeps
