"""What is guessed of folders and tables that nobody described, and the task file that says so."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from dicom_support import dicom_bytes, write_head_set
from PIL import Image

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.init_task import name_of, task_text
from orchestrator.inspecting.guessed_task import class_names, guess_task
from orchestrator.own_tasks import own_task
from orchestrator.task_file import read_task_file
from trainables import catalog
from trainables.data.read import read_data_set
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def only_here() -> Iterator[None]:
    yield
    for name in set(catalog.TASKS) - set(catalog.SHIPPED_TASKS):
        del catalog._TASKS[name]


def images(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8), number, dtype=np.uint8))
    return folder


def read_as_guessed(data: Path, folder: Path) -> tuple[catalog.Task, list]:
    """Return the task that the written file gives, and the cases that are read by it."""
    file = folder / "guess.yaml"
    file.write_text(task_text("guess", guess_task(data), folder))
    task, _ = own_task(Home(folder / "home"), file)
    return task, read_data_set(task, Path(task.data)).records


def test_class_folders_with_folders_of_patients(tmp_path: Path) -> None:
    data = images(
        tmp_path / "set", *(f"{c}/patient{p}/s{n}.png" for c in ("1- Sick", "2_well") for p in (1, 2) for n in (1, 2))
    )
    task, records = read_as_guessed(data, tmp_path)
    assert (task.classes, task.aliases) == (("sick", "well"), {"1- Sick": "sick", "2_well": "well"})
    assert [(record.label, record.patient_id) for record in records] == [
        (label, f"patient{p}") for label in (0, 1) for p in (1, 2) for _ in range(2)
    ]


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        ([f"{c}/person {p}/{n}.png" for c in "ab" for p in "xyz" for n in "12"], ["person x", "person y", "person z"]),
        ([f"{c}/P{p}_{n}.png" for c in "ab" for p in "12" for n in "12"], ["P1", "P2"]),
        ([f"{c}/img{p}_{n}.png" for c in "ab" for p in "12" for n in "12"], [None]),
        ([f"test/{c}/sub-{p}/{n}.png" for c in "ab" for p in "12" for n in "12"], ["sub-1", "sub-2"]),
    ],
)
def test_patients_are_told_by_folders_or_by_words(tmp_path: Path, names: list[str], patients: list) -> None:
    _, records = read_as_guessed(images(tmp_path / "set", *names), tmp_path)
    assert sorted({record.patient_id for record in records}, key=str) == patients


def test_folders_of_sides(tmp_path: Path) -> None:
    names = [f"{side}/{c}/x_{n}.png" for side in ("Training", "Testing") for c in ("Yes", "No") for n in (1, 2)]
    guess = guess_task(images(tmp_path / "deep" / "set", *names).parent)
    assert (guess.layout, guess.classes, guess.images) == ("split folders", ["no", "yes"], 8)
    _, records = read_as_guessed(tmp_path / "deep", tmp_path)
    assert {record.shipped for record in records} == {"training", "test"}


def test_trees_of_two_modalities_are_pairs(tmp_path: Path) -> None:
    names = [f"{tree}/{c}/{n}.png" for tree in ("my CT", "my MRI") for c in ("ill", "well") for n in (1, 2)]
    task, records = read_as_guessed(images(tmp_path / "set", *names), tmp_path)
    assert (task.classes, task.image_names, len(records)) == (("ill", "well"), ("CT", "MRI"), 4)


def test_a_table_with_other_names_of_its_columns(tmp_path: Path) -> None:
    data = images(tmp_path / "set", *(f"{n}.png" for n in range(6)))
    lines = [f"{n}.png,{('AD', 'CN')[n % 2]},S{n // 2}" for n in range(6)]
    (data / "list.csv").write_text("\n".join(["Filename,Diagnosis,Subject", *lines]))
    task, records = read_as_guessed(data, tmp_path)
    assert task.columns == {"path": "Filename", "label": "Diagnosis", "patient_id": "Subject"}
    assert task.classes == ("ad", "cn")
    assert [(record.label, record.patient_id) for record in records] == [(n % 2, f"S{n // 2}") for n in range(6)]


def test_labels_that_are_numbers_are_read_as_what_they_are(tmp_path: Path) -> None:
    data = images(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    (data / "list.csv").write_text("\n".join(["path,label", "0.png,1", "1.png,2.0", "2.png,10", "3.png,1.0"]))
    task, records = read_as_guessed(data, tmp_path)
    assert task.classes == ("class_1", "class_2", "class_10")
    assert [record.label for record in records] == [0, 1, 2, 0], "none is taken for an index"


def test_parquet_with_names_of_its_own(tmp_path: Path) -> None:
    encoded = cv2.imencode(".png", np.zeros((8, 8), dtype=np.uint8))[1].tobytes()
    rows = [{"image": {"bytes": encoded, "path": None}, "dx": dx, "subject": f"s{n}"} for n, dx in enumerate("abab")]
    (tmp_path / "set").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "set" / "rows.parquet")
    task, records = read_as_guessed(tmp_path / "set", tmp_path)
    assert (task.classes, task.columns) == (("a", "b"), {"label": "dx", "patient_id": "subject"})
    assert [(record.label, record.patient_id) for record in records] == [(0, "s0"), (1, "s1"), (0, "s2"), (1, "s3")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "holds nothing; expected a folder for each class"),
        (["a/1.png"], "holds a/ (1 images); expected a folder for each class"),
        (["1.png"], "holds 1.png; expected"),
    ],
)
def test_what_is_not_recognised_is_told_with_what_is_there(tmp_path: Path, names: list[str], words: str) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(BadInput) as caught:
        guess_task(images(tmp_path / "set", *names))
    assert words in str(caught.value)


@pytest.mark.parametrize("is_dicom", [True, False])
def test_tables_of_dicom_files_are_told_of_the_window(tmp_path: Path, is_dicom: bool) -> None:
    plain = cv2.imencode(".png", np.zeros((8, 8), dtype=np.uint8))[1].tobytes()
    content = dicom_bytes(np.zeros((8, 8), np.int16), modality="CT") if is_dicom else plain
    (tmp_path / "rows").mkdir()
    rows = [{"image": {"bytes": content, "path": None}, "label": label} for label in "abab"]
    pd.DataFrame(rows).to_parquet(tmp_path / "rows" / "rows.parquet")
    (tmp_path / "list.csv").write_text("path,label\n1,a\n2,b\n")
    (tmp_path / "2").write_bytes(content)
    for data in (tmp_path / "rows", tmp_path / "list.csv"):
        assert ("# ct_window_hu: [40, 80]" in task_text("heads", guess_task(data), tmp_path)) == is_dicom


@pytest.mark.parametrize("between", ["masks", "test"])
def test_masks_and_sides_within_a_class_are_no_images_of_it(tmp_path: Path, between: str) -> None:
    data = images(tmp_path / "set", "a/1.png", f"a/{between}/2.png", "b/3.png", "b/4.png")
    with pytest.raises(DataError, match=f"'{between}' lies in a class's folder, and would be images of it; move it"):
        read_as_guessed(data, tmp_path)


def test_names_of_classes_and_tasks() -> None:
    assert class_names(["No Tumor", "no_tumor", "1"]) == (["no_tumor", "class_1"], {"1": "class_1"})
    assert class_names(["1- Sick", "2- Sick"]) == (
        ["class_1_sick", "class_2_sick"], {"1- Sick": "class_1_sick", "2- Sick": "class_2_sick"}
    )  # fmt: skip
    with pytest.raises(BadInput, match="'\\+', '-': are no names of classes"):
        class_names(["+", "-"])
    assert name_of(Path("/data/My Scans (2)")) == "my_scans_2"
    assert name_of(Path("/data/stroke")) == "my_stroke"
    assert name_of(Path("/data/2024")) == "my_2024"


def test_what_a_pattern_does_not_find_is_told(tmp_path: Path) -> None:
    data = images(tmp_path / "set", "a/P1_1.png", "a/P1_2.png", "b/P2_1.png", "b/x.png")
    file = tmp_path / "mine.yaml"
    file.write_text("task: mine\nlayout: folders\nclasses: [a, b]\npatient_id_pattern: '/(P\\d+)_'\n")
    task = read_task_file(file)
    with pytest.raises(DataError, match=r"finds no patient in 1 of 4 paths, e\.g\. 'b/x\.png'"):
        read_data_set(task, data)
    (data / "b/x.png").unlink()
    found = read_data_set(task, data)
    assert [record.patient_id for record in found.records] == ["P1", "P1", "P2"]
    assert "2 patients, by patient_id_pattern in the paths" in found.notes


def test_patients_of_dicom_files_are_told_by_their_header_not_by_a_pattern(tmp_path: Path) -> None:
    folder = write_head_set(tmp_path / "heads", patients=4, slices=2, side_px=8)
    for file in sorted(folder.rglob("IM*")):
        (file.parent / file.name[:5].replace("IM", "patient")).mkdir(exist_ok=True)
        file.rename(file.parent / file.name[:5].replace("IM", "patient") / file.name)
    guess = guess_task(folder)
    assert (guess.layout, guess.classes, guess.images, guess.patients) == ("folders", ["bleeding", "calm"], 8, 4)
    assert guess.patient_id_pattern == ""
    text = task_text("heads", guess, tmp_path)
    assert "# 4 patients by DICOM's PatientID" in text
    assert "# ct_window_hu: [40, 80]" in text
    for file in sorted(folder.rglob("IM*")):
        file.write_bytes(dicom_bytes(np.zeros((4, 4), np.int16), patient="ANONYMOUS"))
    anonymous = guess_task(folder)
    assert anonymous.patient_id_pattern, "headers that tell no patients apart leave the folders to tell them"
    assert anonymous.patients == 4
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "calm" / "plain.png")
    assert "# ct_window_hu" in task_text("heads", guess_task(folder), tmp_path), "some of the images are DICOM"


def test_patients_of_dicom_files_in_a_table_are_told_by_their_header_not_by_names_that_mean_series(
    tmp_path: Path,
) -> None:
    rows = ["path,label"]
    for patient in range(3):
        for series in (1, 2):
            for n in range(2):
                name = f"s{2 * patient + series}_{n:03d}.dcm"
                (tmp_path / name).write_bytes(dicom_bytes(np.zeros((4, 4), np.int16), patient=f"MRN{patient}"))
                rows.append(f"{name},{'ab'[patient % 2]}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    guess = guess_task(tmp_path / "list.csv")
    assert (guess.patient_id_pattern, guess.patients, guess.has_dicom) == ("", 3, True)
