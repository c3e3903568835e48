"""`orchestrate evaluate`: registered versions on a labelled set, ranked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.evaluate import EvaluatedVersions
    from orchestrator.version_ranking import RankedVersion


def evaluate(
    reference: Annotated[str, typer.Argument(metavar="TASK[@ALIAS|@N]", help="a task or <task>_phantom, or a version")],
    data: Annotated[str, typer.Option(help="labelled images: folder, manifest, parquet", metavar="DIR|phantom")],
    versions: Annotated[
        str | None, typer.Option(metavar="all|1,3", help="default: the champion and the challenger")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write each version's tables and figures to DIR/version-N")
    ] = None,
    grid: Annotated[
        int | None,
        typer.Option(metavar="N", help="with --out: draw N images of each class with their map, and N mistakes"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Judge versions of a task's model on one labelled set, all images of it, and rank them with paired tests."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json
    from orchestrator.cli.progress import DataProgress
    from orchestrator.evaluate import EvaluateRequest, evaluate_versions

    request = EvaluateRequest(
        reference=reference,
        data=data,
        home=environment.home(),
        tracking_uri=environment.tracking_uri(),
        versions=versions,
        out=out,
        grid=grid,
    )
    with DataProgress() as progress:
        evaluated = evaluate_versions(request, progress)
    for path, reason in evaluated.left_out.items():
        messages().print(f"{path}: left out, {reason}", soft_wrap=True)
    for note in evaluated.notes:
        messages().print(note, soft_wrap=True)
    print_json(evaluated.to_json()) if as_json else _show(evaluated)


def _show(evaluated: "EvaluatedVersions") -> None:
    from rich.table import Table
    from rich.text import Text

    from orchestrator.cli.console import results

    metric = evaluated.task.primary_metric
    console = results()
    of_groups = "" if evaluated.groups == evaluated.images else f" of {evaluated.groups} patients"
    console.print(f"{evaluated.name} on {evaluated.images} images{of_groups}")
    titles = ("rank", "version", "aliases", "architecture", f"{metric} (95 % interval)", "accuracy", "ECE")
    paired = ("behind the first", "p (Holm)") if len(evaluated.rows) > 1 else ()
    table = Table(*titles, *paired, box=None)
    for row in evaluated.rows:
        table.add_row(*map(Text, _cells(row, metric)[: len(titles) + len(paired)]))
    console.print(table)
    for reason in dict.fromkeys(row.behind.reason for row in evaluated.rows if row.behind and row.behind.reason):
        console.print(f"not compared: {reason}")
    if evaluated.folder is not None:
        console.print(f"tables and figures: {evaluated.folder}", soft_wrap=True)


def _cells(row: "RankedVersion", metric: str) -> list[str]:
    from orchestrator.ranking import format_interval, format_metric

    judged, behind = row.judged, row.behind
    scores = [format_interval(row.metrics[name]) for name in (metric, "accuracy", "ece")]
    about = [str(row.rank), judged.version, ", ".join(judged.aliases) or "-", judged.architecture]
    difference = "-" if behind is None else format_interval((behind.value, behind.low, behind.high))
    return [*about, *scores, difference, format_metric(row.p_adjusted)]
