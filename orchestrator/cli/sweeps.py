"""`orchestrate sweep` and `orchestrate resume`: flags in, one sweep run, results out."""

import logging
import math
import re
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from orchestrator.cli.flags import one_of, settings
from orchestrator.errors import BadInput
from orchestrator.sweep_sections import ALLOCATIONS, PRESETS, Preset

GPU_SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def sweep(
    names: Annotated[list[str], typer.Argument(metavar="NAME|FILE.yaml", help="a sweep's name or file")],
    data: Annotated[str | None, typer.Option(help="folder of images, or phantom", metavar="DIR|phantom")] = None,
    trials: Annotated[int | None, typer.Option(help="trials in all")] = None,
    epochs: Annotated[int | None, typer.Option(help="epochs per trial at most")] = None,
    preset: Annotated[str, typer.Option(help="auto, quick or full; auto is full where there is a GPU")] = "auto",
    architectures: Annotated[str | None, typer.Option(help="some of the sweep's architectures", metavar="A,B")] = None,
    exclude: Annotated[str | None, typer.Option(help="all but these architectures", metavar="A,B")] = None,
    allocation: Annotated[
        str | None, typer.Option(help="equal trials for each architecture, or adaptive", metavar="equal|adaptive")
    ] = None,
    seed: Annotated[int, typer.Option(help="every random number derives from it", min=0)] = 0,
    finalists: Annotated[int | None, typer.Option(help="best trials that are evaluated on test")] = None,
    slots: Annotated[str, typer.Option(help="trials at once", metavar="auto|N")] = "auto",
    gpus_per_trial: Annotated[
        str, typer.Option(help="share of a GPU; auto: what the largest architecture needs", metavar="auto|X")
    ] = "auto",
    metric: Annotated[str | None, typer.Option(help="validation metric that decides")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="fix or change one setting, e.g. lr=1e-4", metavar="KEY=VALUE")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="pretrained or random")] = None,
    split: Annotated[str | None, typer.Option(help="shipped or grouped; shipped where a test set ships")] = None,
    folds: Annotated[int, typer.Option(help="train finalists on K folds, show the spread")] = 1,
    seeds: Annotated[int, typer.Option(help="train finalists again from N seeds, the best mean wins")] = 1,
    time_budget: Annotated[
        str | None, typer.Option(help="no trial begins later, e.g. 90m or 2h", metavar="TIME")
    ] = None,
    max_disk: Annotated[
        str | None, typer.Option(help="for states and weights of trials, e.g. 20GiB", metavar="SIZE")
    ] = None,
    sweep_id: Annotated[str | None, typer.Option("--id", help="the sweep's id; else its name and the time")] = None,
    address: Annotated[str, typer.Option(help="local: a Ray of its own on this machine")] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved plan and stop")] = False,
    witness: Annotated[bool, typer.Option("--witness", hidden=True)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run a sweep: trials, finalists, the winner registered."""
    from orchestrator.sweep import run_sweep
    from orchestrator.sweep_planning import plan_sweep
    from orchestrator.sweep_request import SweepRequest

    if len(names) > 1:
        raise BadInput(f"sweep {' '.join(names)}: several at once are not built yet; run one after the other")
    if address != "local":
        raise BadInput(f"--address {address}: clusters are not built yet; leave the flag out or say local")
    request_values = {
        "preset": _preset(preset),
        "slots": _slots(slots),
        "gpu_share": _gpu_share(gpus_per_trial),
        "split": one_of("--split", split, ("shipped", "grouped")),
        "weights": one_of("--weights", weights, ("pretrained", "random")),
        "allocation": one_of("--allocation", allocation, ALLOCATIONS),
        "overrides": settings(overrides or []),
        "architectures": _names("--architectures", architectures),
        "exclude": _names("--exclude", exclude),
        "time_budget_s": None if time_budget is None else _seconds(time_budget),
        "sweep_id": sweep_id,
    }
    from orchestrator.cli import environment
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show import show_plan, show_result
    from orchestrator.cli.sweep_progress import SweepProgress
    from orchestrator.home import check_sweep_id

    check_sweep_id(sweep_id)
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
        seeds=seeds,
        max_disk_bytes=_max_disk_bytes(max_disk),
        max_cache_bytes=environment.max_cache_bytes(),
        witness=witness,
        **request_values,
    )
    if dry_run:
        with DataProgress() as progress:
            planned = plan_sweep(request, progress)
        show_plan(planned.plan, planned.slots.count, as_json)
        return
    # Ray writes to stdout what it has to say of dead workers; there, only the result belongs
    with redirect_stdout(sys.stderr), DataProgress() as progress, SweepProgress(request.data_name) as live:
        result = run_sweep(request, progress, live)
    show_result(result, as_json)


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
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Go on with a sweep that was interrupted, or raise the budget of one that ended."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show import show_result
    from orchestrator.cli.sweep_progress import SweepProgress
    from orchestrator.resume import ResumeRequest, resume_sweep, trials_that_stay
    from orchestrator.sweep_request import SweepRequest, read_request

    logging.getLogger("ray").setLevel(logging.ERROR)
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
        max_disk_bytes=_max_disk_bytes(max_disk),
        time_budget_s=None if time_budget is None else _seconds(time_budget),
    )
    kept = read_request(machine.home.sweep_folder(sweep_id))
    name = "" if kept is None else kept.data_name
    with redirect_stdout(sys.stderr), DataProgress() as progress, SweepProgress(name) as live:
        result = resume_sweep(request, progress, live)
    if not live.heard_anything:
        messages().print(f"{sweep_id} has ended; --trials N or --epochs N raise its budget")
    for number, reason in trials_that_stay(result).items():
        messages().print(f"trial {number} did not train to {result.state.plan.budget.epochs} epochs: {reason}")
    show_result(result, as_json)


def _names(flag: str, text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not names:
        raise BadInput(f"{flag} {text}: expected names, with commas between them")
    return names


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


def _gpu_share(value: str) -> float | None:
    """Return the share of a GPU, as a fraction or a number."""
    if value == "auto":
        return None
    try:
        share = GPU_SHARES[value] if value in GPU_SHARES else float(value)
    except ValueError:
        share = math.nan
    if share not in GPU_SHARES.values():
        raise BadInput(f"--gpus-per-trial {value}: expected auto or one of {', '.join(GPU_SHARES)}")
    return share


def _max_disk_bytes(value: str | None) -> int | None:
    from orchestrator.cli import environment

    if value is None:
        return None
    size = environment.size_bytes("--max-disk", value)
    if size == 0:
        raise BadInput(f"--max-disk={value}: expected more than nothing, e.g. 20GiB; leave it out for no limit")
    return size


def _seconds(value: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|min|h|d)", value.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise BadInput(f"--time-budget {value}: expected a time such as 90m or 2h")
    return seconds
