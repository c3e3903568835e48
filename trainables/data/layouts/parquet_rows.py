"""Sets in parquet: train-*.parquet and test-*.parquet, each row an image struct and a label (Hugging Face's form)."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainables.catalog import Task
from trainables.data.layouts.classes import check_every_class, class_index, class_of_label, class_suggestion
from trainables.data.layouts.folders import check_printable, find_root, refuse_misplaced_tables
from trainables.data.layouts.parquet_files import check_image_column, is_image_table, open_parquet, read_column
from trainables.data.layouts.parquet_images import ParquetImages
from trainables.data.layouts.patients import TABLE, check_complete, known_patient, read_patients, strangers_note
from trainables.data.layouts.sides import side_named, without_lone_side
from trainables.data.records import DataSet, ImageRecord, Read, Side
from trainables.errors import DataError

EXPECTED = "train-*.parquet and test-*.parquet in it or in its data/, with columns image {bytes, path} and label"


def read(task: Task, data: Path) -> DataSet:
    """Return a case for each row, in the order of files and rows; labels are read now, images when they are asked for.

    `data` is the root (files in it or in its data/), data/ itself, a folder that holds exactly one such root, or one
    parquet file. A record's path is "data/train-00000-of-00001.parquet#17". What the image struct calls its file never
    becomes part of a record: it spells the class. Raises DataError for other columns, labels that are no class, and
    files that are no parquet.
    """
    if data.is_file():
        is_part = data.parent.name == "data" and (data.parent.parent / TABLE).is_file()
        root, files = data.parent.parent if is_part else data.parent, [data]
        if is_part:
            refuse_misplaced_tables(data.parent, root)
    else:
        root, _ = find_root(data, _is_root, lambda folder: folder.name == "data", EXPECTED)
        files = _parquet_files(root / "data") or _parquet_files(root)
        _refuse_two_places(root, files)
    records: list[ImageRecord] = []
    notes: list[str] = []
    sides = _sides(files)
    for file in files:
        name = file.relative_to(root).as_posix()
        check_printable(name, root)
        labels, remark = _labels(task, file)
        notes += remark
        records += [
            ImageRecord(path=f"{name}#{row}", label=label, shipped=sides[file], modality=task.modality)
            for row, label in enumerate(labels)
        ]
    # A small test side may lack the rarest class; what is learned from may not.
    check_every_class(task, [record for record in records if record.shipped != "test"], root, "training rows")
    records, split_notes = without_lone_side(records)
    records, patient_notes = _with_patients(task, root, files, records)
    names = [file.relative_to(root).as_posix() for file in files]

    def reopen() -> Read:
        return ParquetImages(root, names).read

    notes += [*split_notes, *patient_notes]
    return DataSet(root=root, records=records, read=reopen(), reopen=reopen, notes=tuple(notes))


def _is_root(folder: Path) -> bool:
    return bool(_parquet_files(folder / "data")) or (folder.name != "data" and bool(_parquet_files(folder)))


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if path.is_file() and not path.name.startswith("."))


def _refuse_two_places(root: Path, files: Sequence[Path]) -> None:
    """Of images in the root and in its data/ one half would be lost; a table without images may lie anywhere."""
    loose = [file for file in _parquet_files(root) if file not in files and is_image_table(file)]
    if loose:
        raise DataError(f"{loose[0]}: holds images beside those in data/; move it to data/, or away from the set")


def _sides(files: Sequence[Path]) -> dict[Path, Side | None]:
    """Read each file's side from its name; either all names tell one or none does."""
    sides = {file: side_named(re.split(r"[-_.]", file.name)[0]) for file in files}
    silent = [file for file, side in sides.items() if side is None]
    if silent and len(silent) < len(files):
        raise DataError(f"{silent[0]}: the name tells no side while others do; expected {EXPECTED}")
    return sides


def _labels(task: Task, path: Path) -> tuple[list[int], list[str]]:
    with open_parquet(path) as file:
        schema: Any = file.schema_arrow
    column = task.columns.get("label", "label")
    _check_columns(path, schema, column)
    meanings, notes = _meanings(task, path, schema, column)
    labels = []
    for row, value in enumerate(read_column(path, column)):
        label = class_of_label(task, str(value))
        if label is None and not isinstance(value, str):
            label = meanings.get(value)
        if label is None or isinstance(value, bool):
            known = class_suggestion(task, value) if isinstance(value, str) else f"labels are {sorted(meanings)}"
            raise DataError(f"{path}: row {row}: label {value!r} is no class of {task.name}; {known}")
        labels.append(label)
    return labels, notes


def _check_columns(path: Path, schema: Any, column: str) -> None:
    got = ", ".join(f"{field.name}: {field.type}" for field in schema)[:300]
    if not {"image", column} <= set(schema.names):
        raise DataError(f"{path}: expected columns image and {column}, got {got or 'none'}")
    label = schema.field(column).type
    if pa.types.is_nested(label):
        raise DataError(f"{path}: column {column} must hold class names or indices, got {label}")
    check_image_column(path, schema)


def _meanings(task: Task, path: Path, schema: Any, column: str) -> tuple[dict[int, int], list[str]]:
    """Return what each label in the file means: by the names in its metadata, else the task's own indices."""
    names = class_names_of(schema, column)
    if not names:
        return {index: index for index in range(len(task.classes))}, []
    meanings: dict[int, int] = {}
    for value, name in enumerate(names):
        label = class_index(task, name)
        if label is None or label in meanings.values():
            what = "names no class" if label is None else "names a class that another label names already"
            raise DataError(
                f"{path}: its metadata calls label {value} {name!r}, which {what}; {class_suggestion(task, name)}"
            )
        meanings[value] = label
    in_order = meanings == {index: index for index in range(len(names))}
    return meanings, [] if in_order else [
        f"{path.name}: labels are in another order ({', '.join(names)}): names decide"
    ]


def class_names_of(schema: Any, column: str) -> list[str]:
    """Return the class names of Hugging Face's metadata; empty where there are none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _with_patients(
    task: Task, root: Path, files: Sequence[Path], records: list[ImageRecord]
) -> tuple[list[ImageRecord], tuple[str, ...]]:
    """Like patients.with_patients; the table may also name rows by the file name in their image struct.

    A column of patients that the task names counts before it.
    """
    if "patient_id" in task.columns:
        return _with_own_patients(task.columns["patient_id"], files, records), ()
    patients = read_patients(root)
    if not patients:
        return records, ()
    keys = [record.path for record in records]
    if not patients.keys() & set(keys):
        keys = [name or "" for file in files for name in _stored_names(file)]
        if len(set(keys)) < len(keys):
            raise DataError(
                f"{root / 'patients.csv'}: names no row, and file names stored in rows are not unique; "
                f"name rows like {records[0].path!r}"
            )
    check_complete(root, patients, [key for key, record in zip(keys, records, strict=True) if record.shipped != "test"])
    known = [replace(record, patient_id=patients.get(key)) for key, record in zip(keys, records, strict=True)]
    return known, strangers_note(patients, set(keys))


def _with_own_patients(column: str, files: Sequence[Path], records: list[ImageRecord]) -> list[ImageRecord]:
    """Return the records with the patients of a column. Raises DataError where it is missing, or empty in training."""
    cells = []
    for file in files:
        with open_parquet(file) as table:
            names = table.schema_arrow.names
        if column not in names:
            raise DataError(f"{file}: no column {column}, which the task names; got {', '.join(names)}")
        cells += [known_patient("" if value is None else str(value)) for value in read_column(file, column)]
    for patient_id, record in zip(cells, records, strict=True):
        if not patient_id and record.shipped != "test":
            raise DataError(f"{record.path}: {column} is empty; fill it for every row outside the test side")
    return [replace(record, patient_id=own or None) for own, record in zip(cells, records, strict=True)]


def _stored_names(path: Path) -> list[str | None]:
    with open_parquet(path) as file:
        if file.schema_arrow.field("image").type.get_field_index("path") < 0:
            return [None] * int(file.metadata.num_rows)
    return read_column(path, "image.path")
