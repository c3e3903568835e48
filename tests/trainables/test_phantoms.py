"""Every phantom: same bytes for a seed, the real layout, masks, patients, and no shortcut to the class."""

import io
import re
from collections import defaultdict
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phantom_support import mask_path, one_value_auroc, read_pictures, shortcut_values
from PIL import Image

from trainables.data import phantom
from trainables.data.phantom import PHANTOMS, num_test_patients

TASKS = list(PHANTOMS)
PATIENTS = 48
HEALTHY = {"normal", "no", "notumor", "Healthy"}
MODALITIES = {"stroke": {"BT", "MR"}, "tumor_ct_mri": {"CT", "MR"}}  # the others are MR alone
NAMES = {  # task -> what every path in patients.csv looks like
    "stroke": r"deep/(train/(1- Stroke/Stroke|2- Control/Normal)|test/(stroke|normal))(BT|MR)/"
    r"[12]_[12] \(\d+\)\.(jpg|png)",
    "tumor_binary": r"(yes/Y\d+|no/(\d+ no|N\d+))\.(jpg|JPG|jpeg|png)",
    "tumor_4class": r"(Training/(\w+)/Tr|Testing/(\w+)/Te)-(gl|me|no|pi)_\d{4}\.jpg",
    "alzheimer": r"(non|verymild|mild|moderate)_\d+\.jpg",
    "tumor_ct_mri": r"Dataset/(Brain Tumor CT scan Images/(Healthy/ct_healthy|Tumor/ct_tumor)"
    r"|Brain Tumor MRI images/(Healthy/mri_healthy|Tumor/(glioma|meningioma|pituitary))) \(\d+\)\.jpg",
}
CLASSES = {
    "stroke": {"stroke", "normal"},
    "tumor_binary": {"yes", "no"},
    "tumor_4class": {"glioma", "meningioma", "notumor", "pituitary"},
    "alzheimer": {"0", "1", "2", "3"},
    "tumor_ct_mri": {"Healthy", "Tumor"},
}


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(task: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(task)
    PHANTOMS[task](path, PATIENTS, 3)
    return path


def written(folder: Path, task: str, patients: int, seed: int) -> dict[str, bytes]:
    """Write a set of small pictures, as what draws them does not depend on their size, and return its files."""
    write = getattr(phantom, f"write_{task}_phantom")
    sides = {"patients": patients}
    if "patients" not in signature(write).parameters:
        test = num_test_patients(patients)
        sides = {"train_patients": patients - test, "test_patients": test}
    write(folder, **sides, seed=seed, image_px=64)
    found = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


def test_there_is_one_for_every_task() -> None:
    assert set(TASKS) == set(NAMES) == set(CLASSES)


def test_same_seed_same_bytes_and_other_seed_other_pictures(task: str, tmp_path: Path) -> None:
    first = written(tmp_path / "a", task, 4, 5)
    assert first == written(tmp_path / "b", task, 4, 5)
    written(tmp_path / "c", task, 4, 6)
    contents = [{picture.content for picture in read_pictures(tmp_path / name)} for name in "ac"]
    assert not contents[0] & contents[1]


def test_a_patient_does_not_depend_on_how_many_there_are(task: str, tmp_path: Path) -> None:
    for name, patients in (("few", 4), ("many", 9)):
        written(tmp_path / name, task, patients, 1)
    few, many = ({p.path: p for p in read_pictures(tmp_path / name)} for name in ("few", "many"))
    assert len(few) < len(many)
    assert few.items() <= many.items()


def test_layout_names_and_classes(task: str, folder: Path) -> None:
    pictures = read_pictures(folder)
    assert {p.label for p in pictures} == CLASSES[task]
    assert [p.path for p in pictures if not re.fullmatch(NAMES[task], p.path)] == []
    for picture in pictures:
        if task == "tumor_4class":
            assert Path(picture.path).name[3:5] == picture.label[:2]
    assert {p.modality for p in pictures} == MODALITIES.get(task, {"MR"})


def test_csv_names_every_picture_once(task: str, folder: Path) -> None:
    paths = [p.path for p in read_pictures(folder)]
    assert len(paths) == len(set(paths))
    if task == "alzheimer":
        found = {row["path"] for f in (folder / "data").iterdir() for row in pd.read_parquet(f)["image"]}
    else:
        files = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
        found = {p.as_posix() for p in files if p.parts[0] not in ("masks", "patients.csv", "phantom.txt")}
    assert set(paths) == found


def test_patients_have_one_class_several_slices_and_every_modality(task: str, folder: Path) -> None:
    by_patient = defaultdict(list)
    for picture in read_pictures(folder):
        by_patient[picture.patient].append(picture)
    assert len(by_patient) == PATIENTS
    for own in by_patient.values():
        assert len({p.label for p in own}) == 1
        assert len({p.path.split("/")[1] for p in own if task == "stroke"}) <= 1, "a patient in train and test"
        for modality in MODALITIES.get(task, {"MR"}):
            assert len([p for p in own if p.modality == modality]) >= 2
        assert len({p.content for p in own}) == len(own)


def test_masks_cover_a_part_of_the_head_where_there_is_something_to_find(task: str, folder: Path) -> None:
    expected = set()
    for picture in read_pictures(folder):
        path = mask_path(folder, picture)
        assert path.is_file() == (picture.label not in HEALTHY)
        if picture.label in HEALTHY:
            continue
        expected.add(path)
        mask_HW, picture_HW = np.asarray(Image.open(path)), picture.read()
        assert mask_HW.shape == picture_HW.shape
        assert set(np.unique(mask_HW)) == {0, 255}
        assert 0.002 < (mask_HW > 0).mean() < 0.15
    assert {p for p in (folder / "masks").rglob("*") if p.is_file()} == expected


@pytest.mark.parametrize("value", ["mean", "max", "corners"])
def test_no_single_number_gives_the_class_away(task: str, folder: Path, value: str) -> None:
    pictures = read_pictures(folder)
    for modality in MODALITIES.get(task, {"MR"}):
        own = [p for p in pictures if p.modality == modality]
        values = np.array([shortcut_values(p.read())[value] for p in own])
        # a dozen patients per class leave some chance; tests/benchmarks/phantom_difficulty.py measures on more
        assert one_value_auroc(values, np.array([p.label for p in own])) <= 0.65


def test_file_types_are_alike_in_all_classes(task: str, folder: Path) -> None:
    kinds = defaultdict(list)
    for picture in read_pictures(folder):
        with Image.open(io.BytesIO(picture.content)) as image:
            kinds[picture.label].append((Path(picture.path).suffix, image.format, image.mode))
    expected = {
        "stroke": {(".jpg", "JPEG", "RGB"), (".png", "PNG", "RGBA")},
        "tumor_binary": {
            *((suffix, "JPEG", "RGB") for suffix in (".jpg", ".JPG", ".jpeg")),
            *((".jpg", "JPEG", "L"), (".png", "PNG", "RGBA"), (".jpg", "PNG", "RGB")),
        },
        "tumor_4class": {(".jpg", "JPEG", "L"), (".jpg", "JPEG", "RGB"), (".jpg", "PNG", "RGB")},
        "alzheimer": {(".jpg", "JPEG", "L")},
        "tumor_ct_mri": {(".jpg", "JPEG", "L"), (".jpg", "JPEG", "RGB")},
    }
    for label, found in kinds.items():
        assert set(found) == expected[task], label


def test_the_parquet_files_have_the_real_columns(tmp_path: Path) -> None:
    phantom.write_alzheimer_phantom(tmp_path, train_patients=4, test_patients=4, slices=2)
    for part in ("train", "test"):
        (path,) = (tmp_path / "data").glob(f"{part}-*.parquet")
        frame = pd.read_parquet(path)
        assert list(frame) == ["image", "label"]
        assert str(frame["label"].dtype) == "int64"
        assert frame["label"].tolist() == [2, 2, 3, 3, 0, 0, 1, 1]
        for image in frame["image"]:
            assert set(image) == {"bytes", "path"}
            with Image.open(io.BytesIO(image["bytes"])) as picture:
                assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", (128, 128))


def test_ventricles_widen_with_the_stage(tmp_path: Path) -> None:
    phantom.write_alzheimer_phantom(tmp_path, train_patients=32, test_patients=0, slices=1)
    areas = defaultdict(list)
    for picture in read_pictures(tmp_path):
        areas[picture.label].append((np.asarray(Image.open(mask_path(tmp_path, picture))) > 0).mean())
    medians = [np.median(areas[stage]) for stage in "0123"]
    assert medians == sorted(medians)
    assert medians[3] > 2 * medians[0]


def test_ct_and_mri_of_a_number_are_one_patient(tmp_path: Path) -> None:
    phantom.write_tumor_ct_mri_phantom(tmp_path, patients=6)
    patients = defaultdict(set)
    for picture in read_pictures(tmp_path):
        patients[picture.label, re.search(r"\((\d+)\)", picture.path)[1]].add((picture.modality, picture.patient))
    for found in patients.values():
        assert sorted(modality for modality, _ in found) == ["CT", "MR"]
        assert len({patient for _, patient in found}) == 1
