import shutil
from pathlib import Path

import pytest

from trainables.data.stroke_folders import read_stroke_folders
from trainables.errors import DataError


def test_train_and_test_are_read_with_class_and_modality(stroke_set: Path) -> None:
    root, records = read_stroke_folders(stroke_set)
    assert root == stroke_set
    assert len(records) == 48
    for record in records:
        folder = record.path.split("/")[-2].lower()
        assert record.label == folder.startswith("stroke")
        assert record.modality == folder[-2:].upper()
        assert record.part == ("development" if "/train/" in record.path else "test")
    assert len({record.path for record in records}) == 48, "a stem is not an identifier"


@pytest.mark.parametrize("given", ["set", "set/deep", "."])
def test_the_root_is_found_one_level_up_or_down(stroke_set: Path, given: str) -> None:
    root, records = read_stroke_folders(stroke_set.parent / given)
    assert root == stroke_set
    assert records == read_stroke_folders(stroke_set)[1]


def test_a_users_folder_named_stroke_changes_no_label(stroke_set: Path, tmp_path: Path) -> None:
    moved = tmp_path / "stroke MR" / "normalBT"
    shutil.copytree(stroke_set, moved)
    assert read_stroke_folders(moved)[1] == read_stroke_folders(stroke_set)[1]


def test_hidden_and_foreign_files_are_passed_over(stroke_set: Path) -> None:
    before = read_stroke_folders(stroke_set)[1]
    folder = stroke_set / "deep/test/strokeBT"
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(next(folder.glob("*.jpg")), folder / ".ipynb_checkpoints" / "copy.jpg")
    assert read_stroke_folders(stroke_set)[1] == before


def test_linked_folders_are_followed_and_circles_end(stroke_set: Path, tmp_path: Path) -> None:
    before = read_stroke_folders(stroke_set)[1]
    folder = stroke_set / "deep/test/strokeBT"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "StrokeBT").symlink_to(tmp_path / "elsewhere")
    assert read_stroke_folders(stroke_set)[1] == before


def test_patients_come_from_the_table(stroke_set: Path) -> None:
    paths = [record.path for record in read_stroke_folders(stroke_set)[1]]
    lines = [f"{path},p{number // 3}" for number, path in enumerate(paths)]
    (stroke_set / "patients.csv").write_text("\ufeff" + "\n".join(["path,patient_id", *lines]), encoding="utf-8")
    records = read_stroke_folders(stroke_set)[1]
    assert [record.patient_id for record in records] == [f"p{number // 3}" for number in range(48)]
    (stroke_set / "patients.csv").write_text("file,who\na,b\n")
    with pytest.raises(DataError, match="expected columns path, patient_id"):
        read_stroke_folders(stroke_set)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,patient_id\ntrain/x.jpg,p1\n", "24 images of train/ are not in it"),
        (b"path,patient_id\n", "names no patient"),
        ("path,patient_id\nx.jpg,M\u00fcller\n".encode("latin-1"), "cannot be read as CSV in UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(stroke_set: Path, content: bytes, words: str) -> None:
    (stroke_set / "patients.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_stroke_folders(stroke_set)


def test_a_missing_empty_or_wrong_folder_is_told(tmp_path: Path, stroke_set: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_stroke_folders(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        read_stroke_folders(tmp_path / "empty")
    (tmp_path / "other" / "yes").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no deep/train and deep/test"):
        read_stroke_folders(tmp_path / "other")
    with pytest.raises(DataError, match="is a file"):
        read_stroke_folders(next(stroke_set.rglob("*.jpg")))


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("deep/test/strokeBT", "test/ has no stroke images of modality BT"),
        ("deep/train/1- Stroke", "train/ has no stroke images"),
        ("deep/train/2- Control/NormalMR", "train/ has no normal images of modality MR"),
    ],
)
def test_a_class_folder_that_is_missing_or_empty_is_named(stroke_set: Path, folder: str, words: str) -> None:
    shutil.rmtree(stroke_set / folder)
    with pytest.raises(DataError, match=words):
        read_stroke_folders(stroke_set)
    (stroke_set / folder).mkdir()
    with pytest.raises(DataError, match=words):
        read_stroke_folders(stroke_set)


def test_one_modality_for_both_classes_is_enough(stroke_set: Path) -> None:
    for folder in [*stroke_set.rglob("*MR")]:
        shutil.rmtree(folder)
    assert {record.modality for record in read_stroke_folders(stroke_set)[1]} == {"BT"}


def test_folders_that_contradict_each_other_are_refused(stroke_set: Path) -> None:
    shutil.copytree(stroke_set / "deep/test/normalBT", stroke_set / "deep/train/1- Stroke/NormalBT")
    with pytest.raises(DataError, match="two classes"):
        read_stroke_folders(stroke_set)
    shutil.rmtree(stroke_set / "deep/train/1- Stroke/NormalBT")
    (stroke_set / "deep/test/leftovers").mkdir()
    shutil.copy(next(stroke_set.rglob("*.jpg")), stroke_set / "deep/test/leftovers/a.jpg")
    with pytest.raises(DataError, match="names no class"):
        read_stroke_folders(stroke_set)
