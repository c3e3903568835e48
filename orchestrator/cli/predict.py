"""`orchestrate predict`: a registered model in use."""

import csv
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import BadInput
from trainables.catalog import BRAIN_WINDOW_HU, TASKS

if TYPE_CHECKING:
    from pandas import DataFrame

    from trainables.data.decoding import Progress
    from trainables.data.unlabelled_cases import UnlabelledCase

BATCH = 64
PATH_COLUMNS = ("path", "second_path")
TABLE_IN_MEMORY_BYTES = 32 << 20  # a longer one waits on disk until it may be shown


def predict(
    reference: Annotated[str, typer.Argument(metavar="TASK[@ALIAS|@N]", help="a task's champion, else its challenger")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH...", help="images, folders, .parquet files of images, .csv with a column path"),
    ] = None,
    pair: Annotated[tuple[str, str] | None, typer.Option(metavar="CT MRI", help="the two images of one case")] = None,
    pairs: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="cases of two images: columns ct and mri")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the table here instead of to stdout")] = None,
) -> None:
    """Predict the class of images, or of pairs of them, with a registered model; prints CSV."""
    from orchestrator.cli import environment
    from orchestrator.cli.console import messages
    from orchestrator.cli.flags import once
    from orchestrator.cli.progress import DataProgress
    from orchestrator.inspecting.asked_cases import AskedCases
    from orchestrator.test_predictions import note_predictions
    from orchestrator.tracking.registry import find_model, inputs_of, load_model
    from orchestrator.tracking.registry import predict as predict_batch
    from orchestrator.tracking.store import open_store, told_as_bad_input
    from trainables.data.layouts.dicom_files import picture_of

    once("--pair", "list several in a CSV file: --pairs FILE.csv")
    once("--pairs", "put all rows into one file")
    asked = AskedCases(paths or (), pair, pairs)
    cases = asked.listed(reference)
    if out is not None:
        _check_out(out, [*asked.files, *(image.file for case in cases for image in case.images)])
    home, uri = environment.home(), environment.tracking_uri()
    with told_as_bad_input(home, uri):
        found = find_model(open_store(home, uri), reference)
        named = f" ({found.alias})" if found.alias else ""
        messages().print(f"{found.name} version {found.version}{named}")
        model = load_model(found)
    inputs, given = inputs_of(model), len(cases[0].images)
    if len(inputs) != given:
        takes = f"a case of it is {len(inputs)} images ({', '.join(inputs)})"
        raise BadInput(f"{found.name} version {found.version}: {takes}, and {given} is given")
    sha256s: set[str] = set()
    task = TASKS.get(found.name.removesuffix("_phantom"))
    window = task.ct_window_hu if task else BRAIN_WINDOW_HU

    def predict_known(contents: Sequence[Sequence[bytes]]) -> "DataFrame":
        sha256s.update(hashlib.sha256(picture_of(content, window)).hexdigest() for case in contents for content in case)
        return predict_batch(model, contents)

    with tempfile.SpooledTemporaryFile(
        TABLE_IN_MEMORY_BYTES, "w+", encoding="utf-8", errors="surrogateescape", newline=""
    ) as table:
        with DataProgress() as progress:
            left_out = _write_predictions(table, cases, predict_known, found.version, progress)
        for name, reason in left_out:
            messages().print(f"{name}: left out, {reason}", soft_wrap=True)
        if len(left_out) == len(cases):
            raise BadInput(f"none of the {len(cases)} {'images' if given == 1 else 'cases'} can be read")
        note_predictions(home, sha256s, f"{found.name} v{found.version}")  # before anybody sees how they are judged
        _show(table, out)


def _write_predictions(
    file: IO[str],
    cases: "Sequence[UnlabelledCase]",
    predict_batch: "Callable[[Sequence[Sequence[bytes]]], DataFrame]",
    version: str,
    progress: "Progress",
) -> list[tuple[str, str]]:
    """Write one row per readable case and return the names of the others with the reason; a batch is in memory."""
    writer = csv.writer(file, lineterminator="\n")
    left_out = []
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        contents, faults = zip(*(case.read_or_reason() for case in batch), strict=True)
        frame = predict_batch(contents)
        columns = [name for name in frame.columns if name.startswith("p_")]
        if start == 0:
            paths = PATH_COLUMNS[: len(batch[0].images)]
            writer.writerow([*paths, "predicted", *columns, "model_version"])
        for case, fault, row in zip(batch, faults, frame.to_dict("records"), strict=True):
            if fault or row["error"]:
                left_out.append((case.name, fault or str(row["error"])))
            else:
                values = [repr(float(row[name])) for name in columns]
                writer.writerow([*(image.name for image in case.images), row["predicted"], *values, version])
        progress("predicting", start + len(batch), len(cases))
    return left_out


def _check_out(out: Path, given: list[Path]) -> None:
    """Refuse a table that cannot be written before the model is loaded, and one that would replace what is read."""
    if out.is_dir() or not out.parent.is_dir():
        raise BadInput(f"--out {out}: {'is a folder' if out.is_dir() else 'its folder does not exist'}; name a file")
    if out.exists() and any(path.exists() and out.samefile(path) for path in given):
        raise BadInput(f"--out {out}: is one of the images or tables that are read; name another file")


def _show(table: IO[str], out: Path | None) -> None:
    table.seek(0)
    if out is None:
        sys.stdout.writelines(table)
        return
    with out.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.writelines(table)
