"""`orchestrate list`: what is defined, and what was run."""

from typing import Annotated

import typer

from orchestrator.errors import BadInput, unknown_name
from orchestrator.sweep_file import known_architecture
from orchestrator.sweep_files import sweep_names
from trainables.catalog import RECORD_FAULTS, TASKS, architecture_names, taken_names
from trainables.configs.timm_model import TIMM

KINDS = ("tasks", "architectures", "sweeps", "runs")


def list_things(
    what: Annotated[str, typer.Argument(metavar="[tasks|architectures|sweeps|runs]")] = "sweeps",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """List what is defined (tasks, architectures, sweeps) or what was run (runs)."""
    from orchestrator.cli.console import print_json, results

    if what not in KINDS:
        raise BadInput(f"list: {unknown_name('list', what, KINDS)}")
    rows = _runs() if what == "runs" else _defined(what)
    if as_json:
        print_json({what: rows})
        return
    from rich.table import Table

    if not rows:
        results().print(f"no {what} yet")
        return
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*row.values())
    results().print(table)


def _defined(what: str) -> list[dict[str, str]]:
    if what == "tasks":
        return [
            {"task": task.name, "classes": ", ".join(task.classes), "metric": task.primary_metric, "title": task.title}
            for task in TASKS.values()
        ]
    if what == "architectures":
        return [
            *_architectures(),
            {"architecture": f"{TIMM}<name>", "source": "any classifier of timm, its last layer new"},
        ]
    from orchestrator.cli.console import messages
    from orchestrator.sweep_file import load_sweep_file
    from orchestrator.sweep_files import faults_of_packages, find_sweep_file

    files = []
    for name in sweep_names():
        try:
            files.append(load_sweep_file(find_sweep_file(name), "full"))
        except BadInput as error:  # of an installed package: others are not harmed
            messages().print(str(error), soft_wrap=True)
    for line in faults_of_packages():
        messages().print(line, soft_wrap=True)
    return [
        {
            "sweep": file.name,
            "task": file.task,
            "architectures": ", ".join(file.architectures),
            "trials": str(file.budget.trials),
            "epochs": str(file.budget.epochs),
        }
        for file in files
    ]


def _architectures() -> list[dict[str, str]]:
    """Return what can be trained; one that cannot be used harms no other, and is told."""
    from orchestrator.cli.console import messages

    rows = []
    for name in architecture_names():
        try:
            rows.append({"architecture": name, "source": known_architecture(name).source})
        except BadInput as error:
            messages().print(str(error), soft_wrap=True)
    for fault in [*RECORD_FAULTS.values(), *taken_names()]:
        messages().print(fault, soft_wrap=True)
    return rows


def _runs() -> list[dict[str, str]]:
    from orchestrator.cli.known_sweeps import known_sweeps
    from orchestrator.ranking import format_metric, rank_trials

    rows = []
    for state in known_sweeps():
        ranked = rank_trials(list(state.trials.values()), state.plan.metric)
        best = ranked[0].validation.get(state.plan.metric) if ranked else None
        registered = state.tracked.registered if state.tracked else None
        rows.append(
            {
                "sweep_id": state.started.sweep_id,
                "task": state.plan.task,
                "data": state.plan.data.kind,
                "state": state.ended.state if state.ended else "running or killed",
                "trials": str(len(state.trials)),
                "best": f"{state.plan.metric} {format_metric(best)}",
                "registered": f"{registered.name} v{registered.version}" if registered else "-",
            }
        )
    return rows
