"""`orchestrate report`: a sweep as one page for people, written from its journal."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    out: Annotated[
        Path | None, typer.Option(help="a folder for it; else report/ in the sweep's own", metavar="DIR")
    ] = None,
) -> None:
    """Write the report of a sweep, whether it has ended or not, and print where it is."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import results
    from orchestrator.open_sweep import state_of
    from orchestrator.report.writer import require_own_or_new
    from orchestrator.sweep_report import write_sweep_report

    folder = environment.home_to_read().sweep_folder(sweep_id)
    if out is not None:
        require_own_or_new(out)
    page = write_sweep_report(folder, state_of(folder), out)
    results().print(str(page), soft_wrap=True)
