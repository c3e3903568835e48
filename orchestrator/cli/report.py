"""`orchestrate report`: a sweep as one page for people, written from its journal."""

import errno
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import BadInput


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
    from orchestrator.report.writer import FOLDER, require_own_or_new
    from orchestrator.sweep_report import write_sweep_report

    folder = environment.home_to_read().sweep_folder(sweep_id)
    if out is not None:
        require_own_or_new(out)
    try:
        page = write_sweep_report(folder, state_of(folder), out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f"{folder / FOLDER}" if out is None else f"--out {out}"
        way_out = "move it away, or name another folder with --out" if out is None else "name another folder"
        raise BadInput(f"{where}: cannot be written ({error.strerror or error}); {way_out}") from error
    results().print(str(page), soft_wrap=True)
