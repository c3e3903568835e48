"""`orchestrate models` and `orchestrate predict`: the registry, and a registered model in use."""

import csv
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import BadInput

BATCH = 64
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


def show_models(
    task: Annotated[str, typer.Argument(metavar="TASK", help="a task or <task>_phantom")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """List the registered versions of a task's model, newest first."""
    from rich.table import Table

    from orchestrator.cli import environment
    from orchestrator.cli.console import print_json, results
    from orchestrator.tracking.registry import list_versions
    from orchestrator.tracking.store import open_store

    versions = list_versions(open_store(environment.home(), environment.tracking_uri()), task)
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
    from orchestrator.tracking.store import open_store

    files = list(_image_files(paths))
    found = find_model(open_store(environment.home(), environment.tracking_uri()), reference)
    messages().print(f"{found.name} version {found.version} ({found.alias})")
    model = load_model(found)
    unreadable = 0
    with out.open("w", newline="", encoding="utf-8") if out else nullcontext(sys.stdout) as file:
        writer = csv.writer(file, lineterminator="\n")
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            frame = predict_batch(model, [path.read_bytes() for path in batch])
            columns = [name for name in frame.columns if name.startswith("p_")]
            if start == 0:
                writer.writerow(["path", "predicted", *columns, "model_version"])
            for path, (_, row) in zip(batch, frame.iterrows(), strict=True):
                if row["error"]:
                    unreadable += 1
                    messages().print(f"{path}: left out, {row['error']}", markup=False, soft_wrap=True)
                else:
                    values = [repr(float(row[name])) for name in columns]
                    writer.writerow([str(path), row["predicted"], *values, found.version])
    if unreadable == len(files):
        raise BadInput(f"none of the {len(files)} images can be read")


def _image_files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            own = [file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES]
            if not own:
                raise BadInput(f"{path}: no image in this folder")
            yield from own
        elif path.is_file():
            yield path
        else:
            raise BadInput(f"{path}: no such file or folder")
