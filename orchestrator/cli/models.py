"""`orchestrate models`: the versions of a task's model, and one of them as a folder or in another format."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.errors import BadInput, unknown_name

FORMATS = ("mlflow", "pt2", "onnx")


def show_models(
    task: Annotated[str, typer.Argument(metavar="TASK", help="a task or <task>_phantom")],
    download: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write a version into this new folder instead of listing all")
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="N|ALIAS", help="which to download; default: champion, else challenger")
    ] = None,
    kind: Annotated[
        str, typer.Option("--format", help="of the download: mlflow (as it is), pt2 (torch.export) or onnx")
    ] = "mlflow",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """List the registered versions of a task's model, newest first, or download one."""
    if kind not in FORMATS:
        raise BadInput(f"--format: {unknown_name('format', kind, FORMATS)}")
    if download is not None:
        _download(task, download, version, kind, as_json)
    elif version is not None or kind != "mlflow":
        raise BadInput(f"{'--version' if version is not None else '--format'}: is of a download; add --download DIR")
    else:
        _show_versions(task, as_json)


def _show_versions(task: str, as_json: bool) -> None:
    from rich.table import Table

    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.tracking.registry import list_versions
    from orchestrator.tracking.store import open_store, told_as_bad_input

    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        versions = list_versions(open_store(home, uri), task)
    if as_json:
        print_json({"name": task, "versions": versions})
        return
    table = Table("version", "aliases", "architecture", "validation", "test", "sweep", box=None)
    for version in versions:
        tags = version["tags"]
        metric = next((key.removeprefix("validation_") for key in tags if key.startswith("validation_")), None)
        scores = [tags.get(f"{side}_{metric}", "-") for side in ("validation", "test")]
        aliases = ", ".join(version["aliases"]) or "-"
        table.add_row(version["version"], aliases, tags.get("architecture", "-"), *scores, tags.get("sweep_id", "-"))
    results().print(f"{task}: {len(versions)} versions" if versions else f"{task}: no version registered yet")
    if versions:
        results().print(table)


def _download(task: str, folder: Path, wanted: str | None, kind: str, as_json: bool) -> None:
    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.new_folder import check_new_folder, new_folder
    from orchestrator.tracking.downloads import download_version, write_decision
    from orchestrator.tracking.registry import find_model
    from orchestrator.tracking.store import open_store, told_as_bad_input

    check_new_folder("--download", folder)
    _check_packages(kind)
    home, uri = environment.home(), environment.tracking_uri()
    with new_folder(folder) as part, tempfile.TemporaryDirectory() as scratch:
        own = part if kind == "mlflow" else Path(scratch, "model")
        with told_as_bad_input(home, uri):
            client = open_store(home, uri)
            found = find_model(client, task if wanted is None else f"{task}@{wanted}")
            download_version(found, own)
            if kind == "mlflow":
                write_decision(client, found, own)
        difference = None if kind == "mlflow" else _export(own, part, kind)
    told: dict[str, Any] = {"name": found.name, "version": found.version, "alias": found.alias, "format": kind}
    if as_json:
        print_json({**told, "folder": str(folder), "max_probability_difference": difference})
        return
    named = f"{found.name} version {found.version}" + (f" ({found.alias})" if found.alias else "")
    results().print(f"{named}: {folder}", soft_wrap=True)
    if difference is not None:
        results().print(f"max difference of a probability, {kind} against the model: {difference:.1e}")


def _check_packages(kind: str) -> None:
    """Refuse before the download what could not be exported after it."""
    if kind != "onnx":
        return
    from trainables.errors import ExportError
    from trainables.exporting import check_packages

    try:
        check_packages("onnx")
    except ExportError as error:
        raise BadInput(f"--format onnx: {error}") from error


def _export(model: Path, folder: Path, kind: str) -> float:
    from orchestrator.tracking.downloads import CLASSIFIER
    from trainables.errors import ExportError
    from trainables.exporting import export_classifier

    try:
        return export_classifier(model / CLASSIFIER, folder, "pt2" if kind == "pt2" else "onnx")
    except ExportError as error:
        raise BadInput(f"--format {kind}: {error}") from error
