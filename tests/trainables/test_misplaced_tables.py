"""patients.csv and pairs.csv are refused where they would not be read."""

import shutil
from pathlib import Path

import pytest
from set_support import write_images, write_rows, write_table

from trainables.catalog import TASKS
from trainables.data.read import read_data_set
from trainables.errors import DataError

PATIENTS = "path,patient_id"


@pytest.fixture
def yes_no_set(tmp_path: Path) -> Path:
    write_images(tmp_path / "binary", "yes/1.png", "yes/2.png", "no/1.png", "no/2.png")
    return tmp_path / "binary"


def manifest(root: Path, *patients: str) -> Path:
    paths = ["yes/1.png", "yes/2.png", "no/1.png", "no/2.png"]
    lines = [f"{path},{path[:-6]},{patient}" for path, patient in zip(paths, patients, strict=True)]
    return write_table(root / "manifest.csv", "path,label,patient_id", *lines)


def test_a_table_that_contradicts_the_manifest_is_refused(yes_no_set: Path) -> None:
    given = manifest(yes_no_set, "p1", "p2", "p3", "p4")
    table = write_table(yes_no_set / "patients.csv", PATIENTS, "yes/1.png,p1", "yes/2.png,p2")
    assert len({record.patient_id for record in read_data_set(TASKS["tumor_binary"], given).records}) == 4
    write_table(table, PATIENTS, "yes/1.png,p1", "yes/2.png,p1")
    with pytest.raises(DataError, match=r"patients\.csv: gives 'yes/2\.png' another patient than manifest\.csv; "):
        read_data_set(TASKS["tumor_binary"], given)


def test_a_table_in_a_class_folder_is_refused(yes_no_set: Path, stroke_set: Path) -> None:
    for task, root, folder in (
        ("tumor_binary", yes_no_set, yes_no_set / "yes"),
        ("tumor_4class", yes_no_set, yes_no_set / "Training/glioma"),
        ("stroke", stroke_set, stroke_set / "deep/train"),
        ("stroke", stroke_set, stroke_set / "deep/test/strokeBT"),
    ):
        if task == "tumor_4class":
            shutil.rmtree(root)
            names = ("glioma", "meningioma", "notumor", "pituitary")
            write_images(root, *(f"{side}/{name}/1.png" for side in ("Training", "Testing") for name in names))
        table = write_table(folder / "Patients.csv", PATIENTS, "1.png,p1")
        with pytest.raises(DataError, match=rf"{table}: is not read there; move it to {root}/patients\.csv"):
            read_data_set(TASKS[task], root)
        table.unlink()


@pytest.mark.parametrize("given", ["", "manifest.csv"])
def test_pairs_of_a_task_without_pairs_are_refused(yes_no_set: Path, given: str) -> None:
    manifest(yes_no_set, "p1", "p2", "p3", "p4")
    table = write_table(yes_no_set / "pairs.csv", "ct,mri", "yes/1.png,yes/2.png")
    with pytest.raises(DataError, match=r"pairs\.csv: is not read, a case of tumor_binary has one image; remove it"):
        read_data_set(TASKS["tumor_binary"], yes_no_set / given)
    (yes_no_set / "manifest.csv").rename(table)
    assert read_data_set(TASKS["tumor_binary"], table).records, "a manifest of that name"


def test_pairs_of_a_parquet_set_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "data/train-0.parquet", [0, 1, 2, 3])
    write_table(tmp_path / "pairs.csv", "ct,mri", "a,b")
    with pytest.raises(DataError, match=r"pairs\.csv: is not read, a case of alzheimer has one image; remove it"):
        read_data_set(TASKS["alzheimer"], tmp_path)


def test_two_tables_around_one_parquet_file_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "data/images.parquet", [0, 1, 2, 3])
    for folder in (tmp_path, tmp_path / "data"):
        write_table(folder / "patients.csv", PATIENTS, *(f"moderate_{row}.jpg,p{row}" for row in range(4)))
    with pytest.raises(DataError, match=r"data/patients\.csv: is not read there; move it to"):
        read_data_set(TASKS["alzheimer"], tmp_path / "data/images.parquet")
