import shutil
from pathlib import Path

import pytest
from set_support import MISLEADING, image_bytes, write_images

from trainables.catalog import TASKS
from trainables.data.images import decode_grey
from trainables.data.layouts.stroke_folders import read
from trainables.errors import DataError

TASK = TASKS["stroke"]


def test_train_and_test_are_read_with_class_and_modality(stroke_set: Path) -> None:
    data = read(TASK, stroke_set)
    assert data.root == stroke_set
    assert len(data.records) == 48
    for record in data.records:
        folder = record.path.split("/")[-2].lower()
        assert record.label == folder.startswith("stroke")
        assert record.modality == folder[-2:].upper()
        assert record.shipped == ("training" if "/train/" in record.path else "test")
        assert decode_grey(data.read(record.path)).shape == (40, 48)
    assert len({record.path for record in data.records}) == 48, "a stem is not an identifier"


@pytest.mark.parametrize("given", ["set", "set/deep", "."])
def test_the_root_is_found_one_level_up_or_down(stroke_set: Path, given: str) -> None:
    data = read(TASK, stroke_set.parent / given)
    assert data.root == stroke_set
    assert data.records == read(TASK, stroke_set).records
    assert data.notes == ()


def test_a_users_folder_named_stroke_changes_no_label(stroke_set: Path, tmp_path: Path) -> None:
    moved = tmp_path / MISLEADING / "normalBT"
    shutil.copytree(stroke_set, moved)
    assert read(TASK, moved).records == read(TASK, stroke_set).records


def test_hidden_and_foreign_files_are_passed_over(stroke_set: Path) -> None:
    before = read(TASK, stroke_set).records
    folder = stroke_set / "deep/test/strokeBT"
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(next(folder.glob("*.jpg")), folder / ".ipynb_checkpoints" / "copy.jpg")
    assert read(TASK, stroke_set).records == before
    assert read(TASK, stroke_set).notes == ()
    (folder / "1.mha").write_bytes(b"x")
    assert read(TASK, stroke_set).records == before
    assert read(TASK, stroke_set).notes == (
        "1 files with other suffixes are passed over (e.g. 'deep/test/strokeBT/1.mha')",
    )


@pytest.mark.parametrize("name", ["1_1 (8) [x].jpg", "1_1 (0).JPG", "schlaganfall ü.png", "1_1.tiff"])
def test_names_of_all_kinds_are_read(stroke_set: Path, name: str) -> None:
    (stroke_set / "deep/test/strokeBT" / name).write_bytes(image_bytes(60, "PNG", "RGBA"))
    data = read(TASK, stroke_set)
    (record,) = [record for record in data.records if record.path.endswith(name)]
    assert (record.label, record.modality, record.shipped) == (1, "BT", "test")
    assert (decode_grey(data.read(record.path)) == 60).all(), "alpha is dropped, the content decides the format"


def test_linked_folders_are_followed_and_circles_end(stroke_set: Path, tmp_path: Path) -> None:
    before = read(TASK, stroke_set).records
    folder = stroke_set / "deep/test/strokeBT"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "StrokeBT").symlink_to(tmp_path / "elsewhere")
    assert read(TASK, stroke_set).records == before


def test_patients_come_from_the_table(stroke_set: Path) -> None:
    paths = [record.path for record in read(TASK, stroke_set).records]
    lines = [f"{path},p{number // 3}" for number, path in enumerate(paths)]
    (stroke_set / "patients.csv").write_text("\ufeff" + "\n".join(["path,patient_id", *lines]), encoding="utf-8")
    records = read(TASK, stroke_set).records
    assert [record.patient_id for record in records] == [f"p{number // 3}" for number in range(48)]
    (stroke_set / "patients.csv").write_text("file,who\na,b\n")
    with pytest.raises(DataError, match="expected columns path, patient_id"):
        read(TASK, stroke_set)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"path,patient_id\ntrain/x.jpg,p1\n", "24 of 24 images that need a patient are not in it"),
        (b"path,patient_id\n", "names no patient"),
        ("path,patient_id\nx.jpg,M\u00fcller\n".encode("latin-1"), "cannot be read as CSV in UTF-8"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(stroke_set: Path, content: bytes, words: str) -> None:
    (stroke_set / "patients.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read(TASK, stroke_set)


def test_a_missing_empty_or_wrong_folder_is_told(tmp_path: Path, stroke_set: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read(TASK, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        read(TASK, tmp_path / "empty")
    (tmp_path / "other" / "yes").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no such set; expected the folder that holds deep/"):
        read(TASK, tmp_path / "other")
    with pytest.raises(DataError, match="is a file"):
        read(TASK, next(stroke_set.rglob("*.jpg")))


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
        read(TASK, stroke_set)
    (stroke_set / folder).mkdir()
    with pytest.raises(DataError, match=words):
        read(TASK, stroke_set)


def test_one_modality_for_both_classes_is_enough(stroke_set: Path) -> None:
    for folder in [*stroke_set.rglob("*MR")]:
        shutil.rmtree(folder)
    assert {record.modality for record in read(TASK, stroke_set).records} == {"BT"}


def test_folders_that_contradict_each_other_are_refused(stroke_set: Path) -> None:
    shutil.copytree(stroke_set / "deep/test/normalBT", stroke_set / "deep/train/1- Stroke/NormalBT")
    with pytest.raises(DataError, match="two classes"):
        read(TASK, stroke_set)
    shutil.rmtree(stroke_set / "deep/train/1- Stroke/NormalBT")
    (stroke_set / "deep/test/leftovers").mkdir()
    shutil.copy(next(stroke_set.rglob("*.jpg")), stroke_set / "deep/test/leftovers/a.jpg")
    with pytest.raises(DataError, match="names no class"):
        read(TASK, stroke_set)


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "testing"), ("train", "TEST")])
def test_sides_have_many_spellings(stroke_set: Path, train: str, test: str) -> None:
    before = [(record.label, record.modality, record.shipped) for record in read(TASK, stroke_set).records]
    (stroke_set / "deep/train").rename(stroke_set / "deep" / train)
    (stroke_set / "deep/test").rename(stroke_set / "deep" / test)
    after = [(record.label, record.modality, record.shipped) for record in read(TASK, stroke_set).records]
    assert sorted(after) == sorted(before)


def test_a_validation_side_is_read_and_another_folder_of_images_is_refused(stroke_set: Path) -> None:
    shutil.copytree(stroke_set / "deep/test", stroke_set / "deep/Val")
    records = read(TASK, stroke_set).records
    assert len(records) == 72
    assert {record.shipped for record in records if "/Val/" in record.path} == {"validation"}
    (stroke_set / "deep/Val").rename(stroke_set / "deep/held out")
    with pytest.raises(DataError, match=r"held out: holds class folders beside test, train, but names no side; call"):
        read(TASK, stroke_set)
    shutil.rmtree(stroke_set / "deep/held out")
    shutil.copytree(stroke_set / "deep/test/strokeBT", stroke_set / "deep/strokeBT")
    with pytest.raises(DataError, match=r"deep/strokeBT: is a class folder beside test, train, but names no side"):
        read(TASK, stroke_set)


def test_a_validation_folder_may_be_an_empty_placeholder(stroke_set: Path) -> None:
    before = read(TASK, stroke_set)
    (stroke_set / "deep/val").mkdir()
    assert read(TASK, stroke_set).records == before.records
    for image in [*(stroke_set / "deep/test").rglob("*.*")]:
        image.unlink()
    with pytest.raises(DataError, match="test/ holds no images"):
        read(TASK, stroke_set)


def test_images_beside_the_sides_that_are_no_part_of_the_set_are_a_note(stroke_set: Path) -> None:
    before = read(TASK, stroke_set)
    write_images(stroke_set, "deep/figures/roc.png", "masks/a.png", "deep/masks/b.png")
    data = read(TASK, stroke_set)
    assert data.records == before.records
    assert data.notes == ("deep/figures/: 1 images lie on no side and are passed over",)


@pytest.mark.parametrize("sides", [["train", "test"], ["Val"]])
def test_a_split_beside_deep_is_not_lost(stroke_set: Path, sides: list[str]) -> None:
    for side in sides:
        shutil.copytree(stroke_set / "deep/test", stroke_set / side)
    for given in (stroke_set, stroke_set / "deep"):
        with pytest.raises(DataError, match=rf"set/{min(sides)}: holds 24 images beside those in deep/; move it"):
            read(TASK, given)
