"""Any set, listed in a table: columns path, label, optional patient_id, split, modality, second_path."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from trainables.catalog import Task
from trainables.data.layouts.classes import check_every_class, class_of_label, class_suggestion
from trainables.data.layouts.folders import check_printable
from trainables.data.layouts.manifest_table import Row, read_rows
from trainables.data.layouts.patients import TABLE as PATIENTS
from trainables.data.layouts.patients import read_patients, with_patients
from trainables.data.layouts.sides import SPELLINGS, side_named, without_lone_side
from trainables.data.records import DataSet, ImageRecord, Side, read_below
from trainables.errors import DataError

NUM_EXAMPLES = 5


def read(task: Task, data: Path) -> DataSet:
    """Return a case for each row; `data` is the table, and its paths are relative to the folder that it lies in.

    A label is a class name or index. patient_id and split are filled for every row or for none (patient_id may lack
    for test rows); without a column patient_id, a patients.csv beside the table counts. Raises DataError with the
    line for what is no class, no side or no path below the folder, for an image listed twice, for missing files, and
    for a patients.csv that contradicts the column.
    """
    if not data.is_file():
        raise DataError(f"{data}: no such file; expected a manifest, CSV or parquet with columns path, label")
    rows = read_rows(data, task.columns)
    records = [_record(task, row) for row in rows]
    _check_once(data.parent, records, rows)
    _check_filled(rows, "split", rows)
    _check_filled(rows, "patient_id", [row for row in rows if side_named(row.text("split")) != "test"])
    _check_exist(data, records)
    check_every_class(task, records, data, "rows")
    records, notes = without_lone_side(sorted(records, key=lambda record: record.path))
    if not any(record.patient_id for record in records):
        records, patient_notes = with_patients(data.parent, records)
        notes += patient_notes
    else:
        _check_same_patients(data, records)
    return DataSet(root=data.parent, records=records, read=read_below(data.parent), notes=notes)


def _record(task: Task, row: Row) -> ImageRecord:
    second = row.text("second_path")
    if task.images_per_case == 2 and not second:
        raise DataError(
            f"{row.where}: no second_path; a case of {task.name} has two images (path: CT, second_path: MRI)"
        )
    if task.images_per_case == 1 and second:
        raise DataError(f"{row.where}: a second_path, but a case of {task.name} has one image; leave it empty")
    modality = row.text("modality") or task.modality
    check_printable(modality, row.where)
    return ImageRecord(
        path=_path(row, "path"),
        label=_label(task, row),
        shipped=_side(row),
        modality=modality,
        patient_id=row.text("patient_id") or None,
        second_path=_path(row, "second_path") if second else None,
    )


def _label(task: Task, row: Row) -> int:
    text = row.text("label")
    number = re.fullmatch(r"(\d{1,9})(\.0*)?", text, re.ASCII)  # pandas makes 1.0 of 1 beside empty cells
    label = class_of_label(task, text)
    if label is None and number:
        label = int(number[1])
    if label is None:
        raise DataError(f"{row.where}: label {text!r} is no class; {class_suggestion(task, text)}")
    if label >= len(task.classes):
        names = ", ".join(f"{index} {name}" for index, name in enumerate(task.classes))
        raise DataError(f"{row.where}: label {label} is no class index of {task.name}; known: {names}")
    return label


def _side(row: Row) -> Side | None:
    text = row.text("split")
    side = side_named(text)
    if text and side is None:
        raise DataError(f"{row.where}: split {text!r} is no side; expected one of {', '.join(SPELLINGS)}")
    return side


def _path(row: Row, column: str) -> str:
    """Return a path below the manifest's folder in its one spelling ("./a/b.jpg" is "a/b.jpg")."""
    text = row.text(column)
    check_printable(text, row.where)
    path = PurePosixPath(text)
    way_out = "give paths relative to the manifest's folder, or move the manifest above the images"
    if path.is_absolute() or PureWindowsPath(text).drive:
        raise DataError(f"{row.where}: {column} {text!r} is absolute; {way_out}")
    if ".." in path.parts:
        raise DataError(f"{row.where}: {column} {text!r} leaves the manifest's folder; {way_out}")
    if not path.parts:
        raise DataError(f"{row.where}: no {column}; every row names an image")
    return path.as_posix()


def _check_once(root: Path, records: Sequence[ImageRecord], rows: Sequence[Row]) -> None:
    named = [(path, row) for r, row in zip(records, rows, strict=True) for path in (r.path, r.second_path) if path]
    # not Path.resolve: it raises RuntimeError where links lead in a circle
    real = {
        folder: Path(os.path.realpath(root / folder)) for folder in {PurePosixPath(path).parent for path, _ in named}
    }
    seen: dict[Path, tuple[str, str]] = {}
    for path, row in named:
        file = real[PurePosixPath(path).parent] / PurePosixPath(path).name  # files may be links: copies are the audit's
        if file in seen:
            first, where = seen[file]
            where = where if first == path else f"{where} as {first!r}, through a linked folder"
            raise DataError(f"{row.where}: {path!r} is listed already ({where}); an image belongs to one case")
        seen[file] = path, row.where.rpartition(": ")[2]


def _check_filled(all_rows: Sequence[Row], column: str, rows: Sequence[Row]) -> None:
    """A column that is filled for some rows only would be half a promise."""
    empty = [row for row in rows if not row.text(column)]
    if empty and any(row.text(column) for row in all_rows):
        raise DataError(f"{empty[0].where}: {column} is empty in {len(empty)} rows; fill it for every row or none")


def _check_same_patients(data: Path, records: Sequence[ImageRecord]) -> None:
    patients = read_patients(data.parent)
    for record in records:
        if patients.get(record.path, record.patient_id) != record.patient_id:
            raise DataError(
                f"{data.parent / PATIENTS}: gives {record.path!r} another patient than {data.name}; correct one of "
                f"the two, or remove {PATIENTS}: the manifest's own column counts"
            )


def _check_exist(data: Path, records: Sequence[ImageRecord]) -> None:
    named = [path for record in records for path in (record.path, record.second_path) if path]
    missing = [path for path in named if not (data.parent / path).is_file()]
    if missing:
        examples = ", ".join(repr(path) for path in missing[:NUM_EXAMPLES])
        hint = "; use forward slashes" if any("\\" in path for path in missing) else ""
        raise DataError(f"{data}: {len(missing)} of {len(named)} files do not exist in {data.parent}: {examples}{hint}")
