"""patients.csv: which images belong to one patient; optional, at the root of every layout."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainables.data.layouts.csv_table import read_csv_table
from trainables.data.records import ImageRecord
from trainables.errors import DataError

TABLE = "patients.csv"
NO_PATIENT = ("nan", "none", "null", "na", "n/a", "-")  # how programs write an empty cell


def known_patient(cell: str) -> str:
    """Return the patient that a cell of any table names; empty where it names none."""
    patient_id = cell.strip()
    return "" if patient_id.casefold() in NO_PATIENT else patient_id


def read_patients(root: Path) -> dict[str, str]:
    """Return path -> patient_id of root/patients.csv; empty without such a file.

    Raises DataError for other columns, a path that stands twice with different patients, and a table without patients.
    """
    table = root / TABLE
    near = [path.name for path in root.iterdir() if path.name.casefold() == TABLE] if root.is_dir() else []
    if not near:
        return {}
    if TABLE not in near or not table.is_file():
        raise DataError(f"{root / near[0]}: must be a file of the name {TABLE}; mend it, or remove it to do without")
    patients: dict[str, str] = {}
    for _, row in read_csv_table(table, ("path", "patient_id")):
        path, patient_id = row["path"], known_patient(row["patient_id"])
        if patient_id and patients.setdefault(path, patient_id) != patient_id:
            raise DataError(f"{table}: {path!r} has two patients; keep one row for each image")
    if not patients:
        raise DataError(f"{table}: names no patient; fill it or remove it")
    return patients


def with_patients(root: Path, records: Sequence[ImageRecord]) -> tuple[list[ImageRecord], tuple[str, ...]]:
    """Return the records with their patients from root/patients.csv, and a note on rows that name no image.

    Raises DataError when images outside the test side are not in the table: patients could stand on both sides while
    it seems that they cannot.
    """
    patients = read_patients(root)
    if not patients:
        return list(records), ()
    check_complete(root, patients, [record.path for record in records if record.shipped != "test"])
    known = [replace(record, patient_id=patients.get(record.path)) for record in records]
    return known, strangers_note(patients, {record.path for record in records})


def check_complete(root: Path, patients: Mapping[str, str], paths: Sequence[str]) -> None:
    """Raise DataError when one of these images is not in the table."""
    missing = [path for path in paths if path not in patients]
    if missing:
        raise DataError(
            f"{root / TABLE}: {len(missing)} of {len(paths)} images that need a patient are not in it, "
            f"e.g. {missing[0]!r}; paths are relative to {root}, with forward slashes"
        )


def strangers_note(patients: Mapping[str, str], paths: Collection[str]) -> tuple[str, ...]:
    """Return a note on rows whose path is no image of the set, if there are such."""
    strangers = [path for path in patients if path not in paths]
    return (f"{TABLE}: {len(strangers)} of its rows name no image of this set",) if strangers else ()
