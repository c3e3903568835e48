"""`orchestrate list` and `orchestrate leaderboard`: read from journals alone."""

import csv
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BadInput, unknown_name
from orchestrator.sweep_file import sweep_names
from trainables.catalog import ARCHITECTURES, TASKS, TIMM

if TYPE_CHECKING:
    from orchestrator.leaderboard import LeaderboardRow
    from orchestrator.sweep_state import SweepState

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


def show_leaderboard(
    name: Annotated[str, typer.Argument(metavar="TASK|SWEEP_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
) -> None:
    """Rank the trials of a sweep, or of every sweep of a task that shares data and split with the newest."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json, results
    from orchestrator.cli.show import show_rows
    from orchestrator.history import same_data, sweeps_of, why_apart
    from orchestrator.leaderboard import leaderboard
    from orchestrator.open_sweep import JOURNAL, state_of
    from orchestrator.test_ledger import count_in_words, read_ledger

    home = environment.home_to_read()
    if (home.sweeps / name / JOURNAL).exists():
        state_of(home.sweep_folder(name))  # says what is wrong with a damaged one, which is not known below
    sweeps = sweeps_of(_known_sweeps(), name)
    kept = same_data(sweeps)
    rows = leaderboard(kept)
    apart = [(state, why) for state in sweeps if (why := why_apart(state, kept[-1]))]
    metric = kept[0].plan.metric
    ledger = home.test_ledger
    reads, unknown = (read_ledger(ledger, digest) for digest in (kept[-1].plan.data.test_digest, ""))
    if as_json:
        print_json(
            {
                "task": kept[0].plan.task,
                "rows": [row.to_json() for row in rows],
                "test_reads": [asdict(read) for read in reads],
                "apart": [{"sweep_id": state.started.sweep_id, "reason": why} for state, why in apart],
            }
        )
    elif as_csv:
        _print_csv(rows, metric)
    else:
        show_rows(rows, metric)
    images = sum(kept[-1].plan.data.images.get("test", {}).values())
    further = f"; {len(unknown)} further reads of sets without a known test side" if unknown else ""
    messages().print(f"these {images} test images so far: {count_in_words(reads)}{further}", soft_wrap=True)
    if kept[0].plan.data.kind == "phantom":
        messages().print("trained on phantom data")
    leaking = sum(kept[-1].plan.data.leaks.values())
    if leaking:
        messages().print(f"{leaking} of these {images} test images leak: development has seen them or their likes")
    if not as_json and not as_csv:
        for state, why in apart:
            results().print(f"\n[bold]{state.started.sweep_id}[/] stands apart: {why}")
            show_rows(leaderboard([state]), state.plan.metric)


def _print_csv(rows: "list[LeaderboardRow]", metric: str) -> None:
    from orchestrator.leaderboard import changes_text

    writer = csv.writer(sys.stdout, lineterminator="\n")
    scores = [f"validation_{metric}", *(f"test_{metric}{end}" for end in ("", "_low", "_high"))]
    cost = ["epochs", "seconds", "parameters"]
    writer.writerow(["rank", "sweep_id", "trial_id", "architecture", *scores, *cost, "state", "stop_reason", "changed"])
    for row in rows:
        test = row.test.get(metric, (None, None, None)) if row.test else (None, None, None)
        about = [row.rank, row.sweep_id, row.trial_id, row.architecture, row.validation.get(metric), *test]
        writer.writerow(
            [*about, row.epochs, row.seconds, row.parameters, row.state, row.stop_reason, changes_text(row)]
        )


def _defined(what: str) -> list[dict[str, str]]:
    if what == "tasks":
        return [
            {"task": task.name, "classes": ", ".join(task.classes), "metric": task.primary_metric, "title": task.title}
            for task in TASKS.values()
        ]
    if what == "architectures":
        own = [{"architecture": record.name, "source": record.source} for record in ARCHITECTURES.values()]
        return [*own, {"architecture": f"{TIMM}<name>", "source": "any classifier of timm with a new last layer"}]
    from orchestrator.sweep_file import find_sweep_file, load_sweep_file

    files = [load_sweep_file(find_sweep_file(name), "full") for name in sweep_names()]
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


def _runs() -> list[dict[str, str]]:
    from orchestrator.leaderboard import format_metric, rank_trials

    rows = []
    for state in _known_sweeps():
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


def _known_sweeps() -> "list[SweepState]":
    """Return the home's sweeps after a line on stderr for each that cannot be read."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages
    from orchestrator.history import all_sweeps

    sweeps, faults = all_sweeps(environment.home_to_read())
    for fault in faults:
        messages().print(fault, markup=False, soft_wrap=True)
    return sweeps
