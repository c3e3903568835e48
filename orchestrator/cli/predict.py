"""`orchestrate predict`: a registered model in use."""

import csv
import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from orchestrator.errors import BadInput
from trainables.data.records import image_files

if TYPE_CHECKING:
    from pandas import DataFrame

BATCH = 64


def predict(
    reference: Annotated[str, typer.Argument(metavar="TASK[@alias]", help="a task's champion, else its challenger")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="image files or folders")],
    out: Annotated[Path | None, typer.Option(help="write the table here instead of to stdout")] = None,
) -> None:
    """Predict the class of images with a registered model; prints CSV."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages
    from orchestrator.test_predictions import note_predictions
    from orchestrator.tracking.registry import find_model, load_model
    from orchestrator.tracking.registry import predict as predict_batch
    from orchestrator.tracking.store import open_store, told_as_bad_input

    files = list(_image_files(paths))
    if out is not None:
        _check_out(out, files)
    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        found = find_model(open_store(home, uri), reference)
        named = f" ({found.alias})" if found.alias else ""
        messages().print(f"{found.name} version {found.version}{named}")
        model = load_model(found)
    table = io.StringIO(newline="")
    sha256s: set[str] = set()

    def predict_known(contents: list[bytes]) -> "DataFrame":
        sha256s.update(hashlib.sha256(content).hexdigest() for content in contents)
        return predict_batch(model, contents)

    left_out = _write_predictions(table, files, predict_known, found.version)
    for path, reason in left_out:
        messages().print(f"{path}: left out, {reason}", soft_wrap=True)
    if len(left_out) == len(files):
        raise BadInput(f"none of the {len(files)} images can be read")
    note_predictions(home, sha256s, f"{found.name} v{found.version}")  # before anybody sees how test images are judged
    if out is None:
        sys.stdout.write(table.getvalue())
    else:
        out.write_text(table.getvalue(), encoding="utf-8", newline="")


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


def _check_out(out: Path, files: list[Path]) -> None:
    """Refuse a table that cannot be written before the model is loaded, and one that would replace an image."""
    if out.resolve() in {path.resolve() for path in files}:
        raise BadInput(f"--out {out}: is one of the images; name another file")
    if out.is_dir() or not out.parent.is_dir():
        raise BadInput(f"--out {out}: {'is a folder' if out.is_dir() else 'its folder does not exist'}; name a file")


def _image_files(paths: list[str]) -> Iterator[Path]:
    for given in paths:
        path = Path(given)
        if given and path.is_dir():
            own = image_files(path)
            if not own:
                raise BadInput(f"{path}: no image in this folder")
            yield from own
        elif given and path.is_file():
            yield path
        else:
            raise BadInput(f"{given or 'an empty path'}: no such file or folder")
