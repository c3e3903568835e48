"""`orchestrate sweep`: flags in, one sweep run or several, results out."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.sweep_flags import flag_values, storage_of
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.cli.sweep_progress import SweepProgress
    from orchestrator.plan import SweepPlan
    from orchestrator.sweep_request import SweepRequest


def sweep(
    context: typer.Context,
    sweeps: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE.yaml...", help="names or files; of one task they are one")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="every architecture that fits this task, maybe your own", metavar="TASK|FILE.yaml"),
    ] = None,
    every_task: Annotated[bool, typer.Option("--all", help="the same for every task, one after another")] = False,
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
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="try the best configurations of the task's earlier sweeps first")
    ] = False,
    max_disk: Annotated[
        str | None, typer.Option(help="for states and weights of trials, e.g. 20GiB", metavar="SIZE")
    ] = None,
    sweep_id: Annotated[str | None, typer.Option("--id", help="the sweep's id; else its name and the time")] = None,
    address: Annotated[
        str,
        typer.Option(
            help="local: a Ray of its own; else a cluster's, from one of its machines", metavar="local|auto|HOST:PORT"
        ),
    ] = "local",
    storage: Annotated[
        str | None,
        typer.Option(
            help="where all nodes of a cluster have the sweep: a shared folder, or a bucket", metavar="DIR|URI"
        ),
    ] = None,
    wait_for_nodes: Annotated[
        int, typer.Option(help="nodes that a cluster should have before the sweep begins", min=0)
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved plan and stop")] = False,
    witness: Annotated[bool, typer.Option("--witness", hidden=True)] = False,
    task_files: Annotated[  # own tasks that the sweep files name; `submit` says it
        list[str] | None, typer.Option("--task-file", hidden=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Run a sweep: trials, finalists, the winner registered."""
    from orchestrator.asked_sweeps import asked_sweeps
    from orchestrator.cli import environment
    from orchestrator.own_tasks import task_named
    from orchestrator.sweep_request import SweepRequest

    name, text = (None, "") if task is None else task_named(environment.home(), task)
    own_texts = dict(task_named(environment.home(), file) for file in task_files or [])
    asked = asked_sweeps(sweeps or [], name, every_task)
    values = flag_values(context.params)  # the texts, none of which is read here
    if wait_for_nodes and address == "local":
        raise BadInput(f"--wait-for-nodes {wait_for_nodes}: there are none without --address")
    place = storage_of(storage)
    request_values = values | {
        "sweep_id": sweep_id,
        "address": address,
        "storage": place if isinstance(place, Path) else None,
        "store": None if isinstance(place, Path) else place,
    }
    from orchestrator.cli.console import messages
    from orchestrator.home import check_sweep_id

    check_sweep_id(sweep_id)
    logging.getLogger("ray").setLevel(logging.ERROR)
    for note in {note for one in asked for note in one.notes}:
        messages().print(note, soft_wrap=True)
    requests = [
        SweepRequest(
            name=one.name,
            task=one.task,
            task_text=own_texts.get(one.load("quick").task, text) if own_texts else text,
            files=one.files,
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
            max_cache_bytes=environment.max_cache_bytes(),
            witness=witness,
            warm_start=warm_start,
            **request_values,
        )
        for one in asked
    ]
    if wait_for_nodes and not dry_run:
        from orchestrator.tuning import cluster

        cluster.wait_for_nodes(address, wait_for_nodes, messages().print)
    if dry_run:
        _plan(requests, as_json)
    elif len(requests) == 1:
        _run_or_go_on(requests[0], as_json)
    else:
        _run_together(requests, as_json)


def _plan(requests: "list[SweepRequest]", as_json: bool) -> None:
    from orchestrator.cli.console import print_json
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show import plan_json, show_plan
    from orchestrator.sweep_planning import plan_sweep

    with DataProgress() as progress:
        planned = [plan_sweep(request, progress) for request in _of_each(requests)]
    if as_json:
        plans = [plan_json(one.plan, one.slots.count) for one in planned]
        print_json(plans[0] if len(requests) == 1 else {"plans": plans})
        return
    for one in planned:
        show_plan(one.plan, one.slots.count)


def _run_or_go_on(request: "SweepRequest", as_json: bool) -> None:
    from orchestrator.cli.console import messages
    from orchestrator.cli.resume import go_on
    from orchestrator.resume import ResumeRequest
    from orchestrator.same_id import is_begun, require_same_request
    from orchestrator.stored_sweep import adopt_stored_sweep, is_stored

    if request.sweep_id is not None and request.storage is not None:
        request.home.adopt_sweep(request.sweep_id, request.storage)
    if request.sweep_id is not None and request.store is not None and is_stored(request.store, request.sweep_id):
        adopt_stored_sweep(request.home, request.sweep_id, request.store)
    if request.sweep_id is None or not is_begun(request.home, request.sweep_id):
        _run(request, as_json)
        return
    require_same_request(request)
    messages().print(f"there is a sweep {request.sweep_id}, and it was asked for just so: it goes on")
    go_on(ResumeRequest(sweep_id=request.sweep_id, machine=request, address=request.address), as_json)


def _run(request: "SweepRequest", as_json: bool) -> None:
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show import show_result
    from orchestrator.cli.sweep_progress import SweepProgress
    from orchestrator.sweep import run_sweep

    # Ray writes to stdout what it has to say of dead workers; there, only the result belongs
    with redirect_stdout(sys.stderr), DataProgress() as progress, SweepProgress(request.data_name) as live:
        result = run_sweep(request, progress, live)
    show_result(result, as_json)


def _of_each(requests: "list[SweepRequest]") -> "list[SweepRequest]":
    from orchestrator.cli.console import messages
    from orchestrator.sweeps_together import requests_of_each

    if len(requests) == 1:
        return requests
    own, notes = requests_of_each(requests)
    for note in notes:
        messages().print(note, soft_wrap=True)
    return own


def _run_together(requests: "list[SweepRequest]", as_json: bool) -> None:
    from orchestrator.cli.progress import DataProgress
    from orchestrator.cli.show_together import say_forecasts, show_sweeps
    from orchestrator.sweeps_together import prepare_all, run_all

    began_s = time.monotonic()
    with redirect_stdout(sys.stderr):
        with DataProgress() as progress:
            prepared = prepare_all(_of_each(requests), progress)
        say_forecasts(prepared, requests[0].time_budget_s)
        done = run_all(prepared, requests[0].time_budget_s, _watching)
    show_sweeps(done, time.monotonic() - began_s, as_json)


@contextmanager
def _watching(plan: "SweepPlan") -> Iterator["SweepProgress"]:
    from orchestrator.cli.sweep_progress import SweepProgress

    with SweepProgress() as live:
        yield live
