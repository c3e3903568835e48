import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from set_support import LFS_POINTER, MISLEADING, counts, image_bytes, write_images, write_table

from trainables.catalog import TASKS
from trainables.data.images import decode_grey
from trainables.data.layouts.class_folders import read
from trainables.errors import DataError

BINARY, FOUR = TASKS["tumor_binary"], TASKS["tumor_4class"]
NAMES = ["yes/Y1.jpg", "yes/Y92.jpg", "yes/Y92.png", "yes/Y4.JPG", "no/1 no.jpeg", "no/no.jpg", "no/44no.jpg"]


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    write_images(tmp_path / "set", *NAMES)
    return tmp_path / "set"


@pytest.fixture
def four(tmp_path: Path) -> Path:
    names = [f"{side}/{name}/x_{i}.jpg" for side in ("Training", "Testing") for name in FOUR.classes for i in range(2)]
    write_images(tmp_path / "set", *names)
    return tmp_path / "set"


def test_bare_class_folders_ship_no_split(binary: Path) -> None:
    data = read(BINARY, binary)
    assert [record.path for record in data.records] == sorted(NAMES), (
        "a stem is no identifier, case of a suffix no rule"
    )
    assert [record.label for record in data.records] == [name.startswith("yes") for name in sorted(NAMES)]
    assert {(record.shipped, record.modality, record.patient_id) for record in data.records} == {(None, "MR", None)}
    assert data.notes == ()


def test_training_and_testing_are_the_shipped_sides(four: Path) -> None:
    data = read(FOUR, four)
    assert counts(data) == {(side, label): 2 for side in ("training", "test") for label in range(4)}
    for record in data.records:
        assert record.shipped == ("training" if record.path.startswith("Training/") else "test")
        assert FOUR.classes[record.label] == record.path.split("/")[1]


@pytest.mark.parametrize(
    ("spelling", "side"),
    [
        ("train", "training"), ("Train", "training"), ("TRAINING", "training"), ("test", "test"), ("Test", "test"),
        ("val", "validation"), ("valid", "validation"), ("Validation", "validation"),
    ],
)  # fmt: skip
def test_sides_have_many_spellings(four: Path, spelling: str, side: str) -> None:
    (four / "Testing").rename(four / "held")
    (four / "Training").rename(four / ("Testing" if side != "test" else "Training"))
    (four / "held").rename(four / spelling)
    data = read(FOUR, four)
    assert {record.shipped for record in data.records if record.path.startswith(f"{spelling}/")} == {side}
    assert len({record.shipped for record in data.records}) == 2


@pytest.mark.parametrize("spelling", ["No_Tumor", "no tumor", "NOTUMOR", "no-tumor", "Healthy"])
def test_classes_have_many_spellings(four: Path, spelling: str) -> None:
    before = counts(read(FOUR, four))
    (four / "Training/notumor").rename(four / "Training" / spelling)
    (four / "Training/glioma").rename(four / "Training/Glioma_tumor")
    assert counts(read(FOUR, four)) == before


def test_the_root_is_found_one_level_up_or_down(four: Path, tmp_path: Path) -> None:
    whole = read(FOUR, tmp_path).records
    assert read(FOUR, tmp_path / "set").records == whole
    assert len(whole) == 16
    below = read(FOUR, four / "Testing")
    assert below.records == whole
    assert "the whole set is read" in below.notes[0], "Testing alone was named"


def test_of_several_sets_below_one_is_to_be_named(binary: Path) -> None:
    shutil.copytree(binary, binary.parent / "again")
    with pytest.raises(DataError, match=r"2 data sets below \(again, set\); name one"):
        read(BINARY, binary.parent)
    assert len(read(BINARY, binary / "yes").records) == 7


def test_a_users_folders_change_no_class_side_or_modality(binary: Path, tmp_path: Path) -> None:
    moved = tmp_path / MISLEADING / "no" / "Training"
    shutil.copytree(binary, moved)
    assert read(BINARY, moved).records == read(BINARY, binary).records


def test_hidden_and_foreign_files_are_passed_over(four: Path) -> None:
    before = read(FOUR, four)
    write_images(four, "Training/glioma/.ipynb_checkpoints/x_0.jpg", "masks/glioma/x_0.png", "Testing/._x.jpg")
    (four / "Training/glioma/.DS_Store").write_bytes(b"x")
    (four / ".DS_Store").write_bytes(b"x")
    (four / "Testing/notumor/Thumbs.db").write_bytes(b"x")
    assert read(FOUR, four).records == before.records
    assert read(FOUR, four).notes == ()


def test_files_that_no_suffix_calls_images_are_counted(binary: Path) -> None:
    write_images(binary, "yes/animated.gif", "no/old.JFIF")
    assert {"yes/animated.gif", "no/old.JFIF"} <= {record.path for record in read(BINARY, binary).records}
    for name in ("yes/IM0001", "yes/a/scan.nii.gz", "no/b.mha", "no/half\udcff.txt", "no/thumbs.DB", "README.md"):
        (binary / name).parent.mkdir(exist_ok=True)
        (binary / name).write_bytes(b"x")
    assert read(BINARY, binary).notes == (
        "4 files with other suffixes are passed over (e.g. 'no/b.mha', 'no/half\\udcff.txt', 'yes/IM0001')",
    )


def test_a_second_copy_of_the_set_and_loose_images_are_told(binary: Path) -> None:
    before = read(BINARY, binary).records
    shutil.copytree(binary / "yes", binary / "brain_tumor_dataset/yes")
    write_images(binary, "preview.png")
    data = read(BINARY, binary)
    assert data.records == before
    assert "1 images lie in no class folder" in data.notes[0]
    assert "brain_tumor_dataset/: 4 images" in data.notes[1]


def test_a_folder_that_names_no_class_is_refused_with_the_nearest(four: Path) -> None:
    write_images(four, "Training/glioma2/a.jpg")
    with pytest.raises(DataError, match="1 images and names no class; did you mean 'glioma'"):
        read(FOUR, four)
    shutil.rmtree(four / "Training/glioma2")
    write_images(four, "Training/pituitry/a.jpg")
    with pytest.raises(
        DataError, match=r"1 images and names no class; did you mean 'pituitary'\? classes of tumor_4cl"
    ):
        read(FOUR, four)
    shutil.rmtree(four / "Training/pituitry")
    write_images(four, "Training/glioma/axial/a.jpg")
    with pytest.raises(DataError, match="folder 'axial' names no class; classes of tumor_4class: glioma"):
        read(FOUR, four)


def test_a_class_that_is_missing_or_empty_is_named(four: Path) -> None:
    shutil.rmtree(four / "Testing/notumor")
    for _ in range(2):
        with pytest.raises(DataError, match="Testing: no images of class 'notumor'"):
            read(FOUR, four)
        (four / "Testing/notumor").mkdir(exist_ok=True)


def test_what_is_no_such_set_is_told(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other/cats").mkdir(parents=True)
    for given, words in [("nowhere", "no such folder"), ("empty", "is empty"), ("other", "holds no such set")]:
        with pytest.raises(DataError, match=f"{words}; expected a folder for each class .no, yes.") as caught:
            read(BINARY, tmp_path / given)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(DataError, match="is a file"):
        read(BINARY, binary / "yes/Y1.jpg")
    write_images(binary, "Training/yes/a.jpg")
    with pytest.raises(DataError, match="holds both Training/ and no/"):
        read(BINARY, binary)


def test_one_side_alone_is_no_split(four: Path) -> None:
    shutil.rmtree(four / "Testing")
    data = read(FOUR, four)
    assert {record.shipped for record in data.records} == {None}
    assert data.notes == ("all images stand on one side (training): the set is split as if it shipped no split",)


def test_names_of_all_kinds_are_read(binary: Path) -> None:
    names = [
        "no/Tr-noTr_0004.jpg",
        "no/Tr-no_0004.jpg",
        "no/a [1] (8).jpg",
        "no/schädel.png",
        "no/脳.tif",
        "no/#1;2.bmp",
    ]
    write_images(binary, *names)
    data = read(BINARY, binary)
    assert set(names) <= {record.path for record in data.records}
    for record in data.records:
        assert decode_grey(data.read(record.path)).shape == (8, 8)


@pytest.mark.parametrize("name", ["no/line\nbreak.jpg", "no/tab\t.jpg", "no/half \udcff.jpg"])
def test_names_that_are_no_text_are_refused(binary: Path, name: str) -> None:
    (binary / name).write_bytes(b"x")
    with pytest.raises(DataError, match="characters that are no text") as caught:
        read(BINARY, binary)
    assert str(caught.value).isprintable()


def test_the_content_decides_the_format_and_metadata_reaches_no_record(binary: Path) -> None:
    before = read(BINARY, binary).records
    exif = Image.Exif()
    exif[0x013B] = "Dr. Somebody"  # Artist
    (binary / "yes/Y1.jpg").write_bytes(image_bytes(70, "PNG", "RGBA"))
    (binary / "yes/Y92.jpg").write_bytes(image_bytes(70, "JPEG", "RGB", exif=exif))
    data = read(BINARY, binary)
    assert data.records == before
    assert "Somebody" not in repr(data)
    assert (decode_grey(data.read("yes/Y1.jpg")) == 70).all()
    assert (decode_grey(data.read("yes/Y92.jpg")) == 70).all()


def test_pointers_copies_and_broken_links_stay_records(binary: Path) -> None:
    (binary / "yes/Y1.jpg").write_bytes(LFS_POINTER)
    (binary / "no/no.jpg").write_bytes((binary / "no/44no.jpg").read_bytes())
    (binary / "no/gone.jpg").symlink_to(binary / "nowhere.jpg")
    data = read(BINARY, binary)
    assert len(data.records) == 8, "what cannot be read is counted later, never silently left out"
    with pytest.raises(ValueError, match="git-LFS pointer"):
        decode_grey(data.read("yes/Y1.jpg"))
    with pytest.raises(OSError, match=r"gone\.jpg"):
        data.read("no/gone.jpg")


def test_patients_come_from_the_table(binary: Path) -> None:
    table = binary / "patients.csv"
    write_table(table, "path,patient_id", *(f"{name},p{number // 2}" for number, name in enumerate(NAMES)))
    assert {record.path: record.patient_id for record in read(BINARY, binary).records} == {
        name: f"p{number // 2}" for number, name in enumerate(NAMES)
    }
    write_table(table, "path,patient_id", *(f"{name},p" for name in NAMES), "yes/Y777.jpg,p9")
    assert read(BINARY, binary).notes == ("patients.csv: 1 of its rows name no image of this set",)
    write_table(table, "path,patient_id", *(f"{name},p" for name in NAMES[1:]))
    with pytest.raises(DataError, match=r"1 of 7 images that need a patient are not in it, e\.g\. 'yes/Y1\.jpg'"):
        read(BINARY, binary)
    write_table(table, "path,patient_id", "yes/Y1.jpg,p1", "yes/Y1.jpg,p2")
    with pytest.raises(DataError, match=r"'yes/Y1\.jpg' has two patients"):
        read(BINARY, binary)


@pytest.mark.parametrize(
    ("table", "given"),
    [
        ("patients.csv", "."), ("Patients.csv", "."), ("pairs.csv", "."), ("set/Training/patients.csv", "set/Training"),
        ("set/Training/patients.csv", "set"), ("set/Testing/glioma/patients.csv", "set/Testing/glioma"),
    ],
)  # fmt: skip
def test_a_table_where_it_is_not_read_is_refused(four: Path, table: str, given: str) -> None:
    write_table(four.parent / table, "path,patient_id", "Training/glioma/x_0.jpg,p")
    root = re.escape(str(four))
    with pytest.raises(DataError, match=f"{table}: is not read there; move it to {root}/p.*csv, with paths relative"):
        read(FOUR, four.parent / given)


def test_images_of_the_test_side_need_no_patient(four: Path) -> None:
    training = [record.path for record in read(FOUR, four).records if record.shipped == "training"]
    write_table(four / "patients.csv", "path,patient_id", *(f"{path},p" for path in training))
    assert {(record.shipped, record.patient_id) for record in read(FOUR, four).records} == {
        ("training", "p"),
        ("test", None),
    }


def test_no_note_says_where_the_set_lies(binary: Path) -> None:
    write_images(binary, "loose.png", "copy of the set/yes/1.png", "copy of the set/no/1.png")
    of_part, of_root = read(TASKS["tumor_binary"], binary / "yes"), read(TASKS["tumor_binary"], binary)
    assert len(of_root.notes) == 2
    assert len(of_part.notes) == 3
    assert not any(str(binary.parent) in note for note in (*of_part.notes, *of_root.notes))


def test_a_side_that_is_misspelt_is_refused_not_dropped(four: Path) -> None:
    (four / "Testing").rename(four / "Tset")
    with pytest.raises(DataError, match="Tset: holds class folders beside Training, but names no side"):
        read(TASKS["tumor_4class"], four)


def test_a_class_folder_of_one_side_means_the_whole_set(four: Path) -> None:
    assert (
        read(TASKS["tumor_4class"], four / "Training" / "glioma").records == read(TASKS["tumor_4class"], four).records
    )


def test_a_pipe_among_the_images_is_unreadable_and_not_waited_for(binary: Path) -> None:
    os.mkfifo(binary / "yes" / "pipe.png")
    data = read(TASKS["tumor_binary"], binary)
    assert "yes/pipe.png" in [record.path for record in data.records]
    with pytest.raises(OSError, match="is no regular file"):
        data.read("yes/pipe.png")


@pytest.mark.parametrize("spoil", ["folder", "dangling", "capital"])
def test_a_patients_table_that_cannot_be_used_is_not_passed_over(binary: Path, spoil: str) -> None:
    table = binary / ("Patients.csv" if spoil == "capital" else "patients.csv")
    if spoil == "folder":
        table.mkdir()
    elif spoil == "dangling":
        table.symlink_to(binary / "nowhere.csv")
    else:
        table.write_text("path,patient_id\n")
    with pytest.raises(DataError, match=r"must be a file of the name patients\.csv"):
        read(TASKS["tumor_binary"], binary)


def test_nan_is_no_patient(binary: Path) -> None:
    rows = [f"{record.path},nan" for record in read(TASKS["tumor_binary"], binary).records]
    (binary / "patients.csv").write_text("\n".join(["path,patient_id", *rows]))
    with pytest.raises(DataError, match="names no patient"):
        read(TASKS["tumor_binary"], binary)
