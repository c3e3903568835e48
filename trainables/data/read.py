"""Any data that a user names -> a data set: a folder in the task's own layout, a manifest, or a parquet file."""

import importlib
from collections.abc import Callable
from pathlib import Path

from trainables.catalog import Task
from trainables.data.layouts import manifest, parquet_rows
from trainables.data.layouts.dicom_files import with_dicom
from trainables.data.layouts.folders import tables_in
from trainables.data.layouts.pairs_table import TABLE as PAIRS
from trainables.data.layouts.parquet_files import is_image_table
from trainables.data.layouts.patient_pattern import with_patient_pattern
from trainables.data.records import DataSet
from trainables.errors import DataError

Read = Callable[[Task, Path], DataSet]


def read_data_set(task: Task, data: Path) -> DataSet:
    """Read a folder by the task's own layout, a .csv file as a manifest, a .parquet file as what its columns say.

    A folder may be the set's root, or one level above or below it. Raises DataError.
    """
    data_set = _read(task, data)
    pairs = tables_in(data_set.root).get(PAIRS)
    if pairs and task.images_per_case == 1 and not pairs.samefile(data):
        raise DataError(f"{pairs}: is not read, a case of {task.name} has one image; remove it")
    return with_dicom(task, with_patient_pattern(task, data_set))


def _read(task: Task, data: Path) -> DataSet:
    if data.is_dir() or not data.exists():
        return _layout(task)(task, data)
    kind = data.suffix.lower()
    if kind == ".parquet" and is_image_table(data):
        if task.images_per_case != 1:
            raise DataError(f"{data}: one image per row, task {task.name} has two per case; list them in a manifest")
        return parquet_rows.read(task, data)
    if kind in (".csv", ".parquet"):
        return manifest.read(task, data)
    raise DataError(f"{data}: is a file; expected a folder, a manifest (.csv, .parquet) or a parquet file of images")


def _layout(task: Task) -> Read:
    module, _, function = task.layout.partition(":")
    read: Read = getattr(importlib.import_module(module), function)
    return read
