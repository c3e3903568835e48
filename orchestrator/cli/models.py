"""`orchestrate models` and `orchestrate predict`: the registry, and a registered model in use."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from orchestrator.errors import BadInput
from trainables.data.records import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from pandas import DataFrame

BATCH = 64


def show_models(
    task: Annotated[str, typer.Argument(metavar="TASK", help="a task or <task>_phantom")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """List the registered versions of a task's model, newest first."""
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
        scores = [next((value for key, value in tags.items() if key.startswith(side)), "-") for side in ("val", "test")]
        aliases = ", ".join(version["aliases"]) or "-"
        table.add_row(version["version"], aliases, tags.get("architecture", "-"), *scores, tags.get("sweep_id", "-"))
    results().print(f"{task}: {len(versions)} versions" if versions else f"{task}: no version registered yet")
    if versions:
        results().print(table)


def predict(
    reference: Annotated[str, typer.Argument(metavar="TASK[@alias]", help="a task's champion, else its challenger")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="image files or folders")],
    out: Annotated[Path | None, typer.Option(help="write the table here instead of to stdout")] = None,
) -> None:
    """Predict the class of images with a registered model; prints CSV."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages
    from orchestrator.tracking.registry import find_model, load_model
    from orchestrator.tracking.registry import predict as predict_batch
    from orchestrator.tracking.store import open_store, told_as_bad_input

    files = list(_image_files(paths))
    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        found = find_model(open_store(home, uri), reference)
        messages().print(f"{found.name} version {found.version} ({found.alias})")
        model = load_model(found)
    with _table(out) as file:
        left_out = _write_predictions(file, files, lambda contents: predict_batch(model, contents), found.version)
    for path, reason in left_out:
        messages().print(f"{path}: left out, {reason}", markup=False, soft_wrap=True)
    if len(left_out) == len(files):
        raise BadInput(f"none of the {len(files)} images can be read")


def _write_predictions(
    file: TextIO, files: list[Path], predict_batch: "Callable[[list[bytes]], DataFrame]", version: str
) -> list[tuple[Path, str]]:
    """Write one row per readable image and return the others with the reason."""
    writer = csv.writer(file, lineterminator="\n")
    left_out = []
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        contents, faults = zip(*(_read(path) for path in batch), strict=True)
        frame = predict_batch(list(contents))
        columns = [name for name in frame.columns if name.startswith("p_")]
        if start == 0:
            writer.writerow(["path", "predicted", *columns, "model_version"])
        for path, fault, row in zip(batch, faults, frame.to_dict("records"), strict=True):
            if fault or row["error"]:
                left_out.append((path, fault or str(row["error"])))
            else:
                values = [repr(float(row[name])) for name in columns]
                writer.writerow([str(path), row["predicted"], *values, version])
    return left_out


def _read(path: Path) -> tuple[bytes, str]:
    try:
        return path.read_bytes(), ""
    except OSError as error:
        return b"", error.strerror or str(error)


def _table(out: Path | None) -> AbstractContextManager[TextIO]:
    if out is None:
        return nullcontext(sys.stdout)
    try:
        return out.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {out}: cannot be written ({error.strerror})") from error


def _image_files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in IMAGE_SUFFIXES)
            own = [file for file in found if not any(step.startswith(".") for step in file.relative_to(path).parts)]
            if not own:
                raise BadInput(f"{path}: no image in this folder")
            yield from own
        elif path.is_file():
            yield path
        else:
            raise BadInput(f"{path}: no such file or folder")
