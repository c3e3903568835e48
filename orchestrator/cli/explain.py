"""`orchestrate explain`: why a registered version answers as it does, as panels beside the images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.explain import ExplainedImages


def explain(
    reference: Annotated[str, typer.Argument(metavar="TASK[@ALIAS|@N]", help="a task's champion, else its challenger")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="images, folders, .parquet files of images, .csv with a column path"),
    ] = None,
    pair: Annotated[tuple[str, str] | None, typer.Option(metavar="CT MRI", help="the two images of one case")] = None,
    pairs: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="cases of two images: columns ct and mri")
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="gradcam, relevance, occlusion ...; default: the architecture's")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="PATH", help="where in the model, e.g. cnn.layer3 or cnn.layer4.-1")
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="explain this class instead of the predicted one")
    ] = None,
    colormap: Annotated[str, typer.Option(metavar="NAME", help="one of matplotlib's")] = "inferno",
    compare: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="hold methods side by side with scores, e.g. gradcam,eigencam; or cams"),
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(metavar="CLASS=X,...", help="draw a class's maps to the power of X; a display alone")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="a new folder; default: explanations-TASK-vN in this one")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Show what in images a registered model's answers rest on: a panel for each, a table, and the raw maps."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages, print_json
    from orchestrator.cli.flags import once
    from orchestrator.cli.progress import DataProgress
    from orchestrator.explain import ExplainRequest, explain_images
    from orchestrator.inspecting.asked_cases import AskedCases

    once("--pair", "list several in a CSV file: --pairs FILE.csv")
    once("--pairs", "put all rows into one file")
    request = ExplainRequest(
        reference=reference,
        cases=AskedCases(paths or (), pair, pairs),
        home=environment.home(),
        tracking_uri=environment.tracking_uri(),
        method=method,
        layer=layer,
        class_name=class_name,
        colormap=colormap,
        compare=_methods(compare),
        class_weights=_class_weights(class_weights),
        out=out,
    )
    with DataProgress() as progress:
        explained = explain_images(request, progress)
    for path, reason in explained.left_out.items():
        messages().print(f"{path}: left out, {reason}", soft_wrap=True)
    for reason in explained.refused:
        messages().print(f"not used: {reason}", soft_wrap=True)
    for warning in explained.warnings:
        messages().print(warning, soft_wrap=True)
    print_json(explained.to_json()) if as_json else _show(explained)


def _methods(given: str | None) -> list[str]:
    """Return the methods to compare; `cams` are those that take seconds at most."""
    from orchestrator.errors import BadInput
    from trainables.explain.explainers import QUICK_CAMS

    names = [name.strip() for name in (given or "").split(",")]
    if given is not None and not all(names):
        raise BadInput(f"--compare {given!r}: expected methods such as gradcam,eigencam, or cams")
    return [] if given is None else [one for name in names for one in (QUICK_CAMS if name == "cams" else [name])]


def _class_weights(given: str | None) -> dict[str, float]:
    from orchestrator.errors import BadInput

    weights: dict[str, float] = {}
    for part in [] if given is None else given.split(","):
        name, _, number = part.strip().rpartition("=")
        if name in weights:
            raise BadInput(f"--class-weights: {name} is given twice")
        try:
            weights[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise BadInput(f"--class-weights {part.strip()!r}: expected CLASS=NUMBER, e.g. mild=1.5")
    return weights


def _show(explained: "ExplainedImages") -> None:
    from rich.table import Table

    from orchestrator.cli.console import results

    named = f" ({explained.alias})" if explained.alias else ""
    results().print(f"{explained.name} version {explained.version}{named}: {explained.out}", soft_wrap=True)
    table = Table("image", "predicted", "probability", "explained", "panel", box=None)
    for one in explained.panels:
        table.add_row(one.path, one.predicted, f"{one.probability:.4f}", one.explained, one.panel.name)
    results().print(table)
    if explained.compared:
        _show_compared(explained)


def _show_compared(explained: "ExplainedImages") -> None:
    """Print what each method is worth: its map, a random map, the centre."""
    from rich.table import Table

    from orchestrator.cli.console import results

    table = Table("method", "layer", "deletion (lower is better)", "insertion", "pointing", "blank", box=None)
    for one in explained.compared:
        cells = []
        for name in ("deletion", "insertion", "pointing"):
            values = one.figures[name].values()
            cells.append(" / ".join("-" if value is None else f"{value:.2f}" for value in values))
        table.add_row(one.method, one.layer, *cells, f"{one.blank} of {one.images}")
    results().print(table)
    results().print("each: the map / a random map / the centre, mean over the images where the map shows something")
    for said in dict.fromkeys(one.tests for one in explained.compared):
        named = ", ".join(f"{one.method} at {one.layer}" for one in explained.compared if one.tests == said)
        results().print(f"{said}: {named}", soft_wrap=True)
