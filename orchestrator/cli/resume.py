"""`orchestrate resume`: one sweep goes on, or further than it was planned."""

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.sweep_flags import max_disk_bytes, seconds, storage_of

if TYPE_CHECKING:
    from orchestrator.resume import ResumeRequest


def resume(
    sweep_id: Annotated[str, typer.Argument(metavar="SWEEP_ID")],
    trials: Annotated[int | None, typer.Option(help="more trials in all than planned so far")] = None,
    epochs: Annotated[int | None, typer.Option(help="more epochs than planned so far, once it has ended")] = None,
    time_budget: Annotated[
        str | None, typer.Option(help="another time in all, the time spent included", metavar="TIME")
    ] = None,
    max_disk: Annotated[
        str | None, typer.Option(help="another limit for states and weights of trials", metavar="SIZE")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="of another Ray cluster than before, or local", metavar="local|auto|HOST:PORT")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="where the sweep is that another machine began", metavar="DIR|URI")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Go on with a sweep that was interrupted, or raise the budget of one that ended."""
    from orchestrator.cli import environment
    from orchestrator.resume import ResumeRequest
    from orchestrator.stored_sweep import adopt_stored_sweep
    from orchestrator.sweep_request import SweepRequest

    machine: SweepRequest = SweepRequest(
        name="",
        home=environment.home(),
        tracking_uri=environment.tracking_uri(),
        max_cache_bytes=environment.max_cache_bytes(),
    )
    request = ResumeRequest(
        sweep_id=sweep_id,
        machine=machine,
        trials=trials,
        epochs=epochs,
        max_disk_bytes=max_disk_bytes(max_disk),
        time_budget_s=None if time_budget is None else seconds(time_budget),
        address=address,
    )
    place = storage_of(storage)
    if isinstance(place, Path):
        machine.home.adopt_sweep(sweep_id, place)
    elif place is not None:
        adopt_stored_sweep(machine.home, sweep_id, place)
    go_on(request, as_json)


def go_on(request: "ResumeRequest", as_json: bool) -> None:
    """Resume a sweep and show what came of it."""
    from orchestrator.cli.console import messages
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show import show_result
    from orchestrator.cli.sweep_progress import SweepProgress
    from orchestrator.resume import resume_sweep, trials_that_stay
    from orchestrator.sweep_request import read_request

    logging.getLogger("ray").setLevel(logging.ERROR)
    kept = read_request(request.machine.home.sweep_folder(request.sweep_id))
    name = "" if kept is None else kept.data_name
    with redirect_stdout(sys.stderr), DataProgress() as progress, SweepProgress(name) as live:
        result = resume_sweep(request, progress, live)
    if not live.heard_anything:
        messages().print(f"{request.sweep_id} has ended; --trials N or --epochs N raise its budget")
    for number, reason in trials_that_stay(result).items():
        messages().print(f"trial {number} did not train to {result.state.plan.budget.epochs} epochs: {reason}")
    show_result(result, as_json)
