"""`orchestrate sweep`: flags in, one sweep run, results out."""

import logging
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from orchestrator.cli.flags import one_of, settings
from orchestrator.errors import BadInput
from orchestrator.sweep_file import PRESETS, Preset


def sweep(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE.yaml", help="a sweep's name or file")],
    data: Annotated[str | None, typer.Option(help="folder of images, or phantom", metavar="DIR|phantom")] = None,
    trials: Annotated[int | None, typer.Option(help="trials in all")] = None,
    epochs: Annotated[int | None, typer.Option(help="epochs per trial at most")] = None,
    preset: Annotated[str, typer.Option(help="auto, quick or full; auto is full where there is a GPU")] = "auto",
    architectures: Annotated[str, typer.Option(help="some of the sweep's architectures", metavar="A,B")] = "",
    seed: Annotated[int, typer.Option(help="every random number derives from it", min=0)] = 0,
    finalists: Annotated[int | None, typer.Option(help="best trials that are evaluated on test")] = None,
    slots: Annotated[str, typer.Option(help="trials at once", metavar="auto|N")] = "auto",
    metric: Annotated[str | None, typer.Option(help="validation metric that decides")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="fix or change one setting, e.g. lr=1e-4", metavar="KEY=VALUE")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="pretrained or random")] = None,
    split: Annotated[str | None, typer.Option(help="shipped or grouped; shipped where a test set ships")] = None,
    folds: Annotated[int, typer.Option(help="train finalists on K folds, show the spread")] = 1,
    address: Annotated[str, typer.Option(help="local: a Ray of its own on this machine")] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved plan and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run a sweep: trials, finalists, the winner registered."""
    from orchestrator.sweep import run_sweep
    from orchestrator.sweep_planning import SweepRequest, plan_sweep

    if len(names) > 1:
        raise BadInput(f"sweep {' '.join(names)}: several at once are not built yet; run one after the other")
    if address != "local":
        raise BadInput(f"--address {address}: clusters are not built yet; leave the flag out or say local")
    request_values = {
        "preset": _preset(preset),
        "slots": _slots(slots),
        "split": one_of("--split", split, ("shipped", "grouped")),
        "weights": one_of("--weights", weights, ("pretrained", "random")),
        "overrides": settings(overrides or []),
        "architectures": tuple(name.strip() for name in architectures.split(",") if name.strip()),
    }
    from orchestrator.cli import environment
    from orchestrator.cli.progress import DataProgress, SweepProgress, show_plan, show_result

    logging.getLogger("ray").setLevel(logging.ERROR)
    request = SweepRequest(
        name=names[0],
        home=environment.home(),
        data=data,
        data_root=environment.data_root(),
        tracking_uri=environment.tracking_uri(),
        trials=trials,
        epochs=epochs,
        finalists=finalists,
        seed=seed,
        metric=metric,
        folds=folds,
        max_cache_bytes=environment.max_cache_bytes(),
        **request_values,
    )
    if dry_run:
        with DataProgress() as progress:
            planned = plan_sweep(request, progress)
        show_plan(planned.plan, planned.slots.count, as_json)
        return
    # Ray writes to stdout what it has to say of dead workers; there, only the result belongs
    with redirect_stdout(sys.stderr), DataProgress() as progress, SweepProgress() as live:
        result = run_sweep(request, progress, live)
    show_result(result, as_json)


def _preset(value: str) -> Preset | None:
    if value == "auto":
        return None
    chosen: Preset = one_of("--preset", value, (*PRESETS, "auto"))
    return chosen


def _slots(value: str) -> int | None:
    if value == "auto":
        return None
    try:
        return int(value)
    except ValueError:
        raise BadInput(f"--slots {value}: expected auto or a whole number of at least 1") from None
