"""Patients told by the paths of their images, as a user's own task says."""

import re
from dataclasses import replace

from trainables.catalog import Task
from trainables.data.records import DataSet, ImageRecord
from trainables.errors import DataError


def with_patient_pattern(task: Task, data_set: DataSet) -> DataSet:
    """Return the set with the patients that its paths tell, where it names none itself.

    Raises DataError where the pattern finds none in the path of an image outside the test side, and where it finds two
    in the paths of one case.
    """
    if not task.patient_id_pattern or any(record.patient_id for record in data_set.records):
        return data_set
    found = [_patient(task.patient_id_pattern, record) for record in data_set.records]
    needed = [(own, one) for own, one in zip(found, data_set.records, strict=True) if one.shipped != "test"]
    missing = [record.path for patient_id, record in needed if patient_id is None]
    if missing:
        raise DataError(
            f"patient_id_pattern {task.patient_id_pattern!r}: finds no patient in {len(missing)} of {len(needed)} "
            f"paths, e.g. {missing[0]!r}"
        )
    records = [replace(record, patient_id=own) for own, record in zip(found, data_set.records, strict=True)]
    note = f"{len(set(found) - {None})} patients, by patient_id_pattern in the paths"
    return replace(data_set, records=records, notes=(*data_set.notes, note))


def _patient(pattern: str, record: ImageRecord) -> str | None:
    paths = [path for path in (record.path, record.second_path) if path]
    told = {match[1] for path in paths if (match := re.search(pattern, path)) and match[1]}
    if len(told) > 1:
        raise DataError(f"patient_id_pattern {pattern!r}: finds {' and '.join(sorted(told))} in one case, {paths[0]!r}")
    return told.pop() if told else None
