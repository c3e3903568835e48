"""The CT+MRI phantom whose class is told by both images together: each alone is worth exactly chance."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from phantom_support import Picture, mask_path, one_value_auroc, read_pictures, shortcut_values
from PIL import Image

from trainables.catalog import TASKS
from trainables.data.phantom import write_ct_mri_combination_phantom
from trainables.data.read import read_data_set
from trainables.data.records import is_phantom

PATIENTS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("combination")
    write_ct_mri_combination_phantom(path, patients=PATIENTS, seed=3)
    return path


@pytest.fixture(scope="module")
def pictures(folder: Path) -> list[Picture]:
    return read_pictures(folder)


def contents(folder: Path, patients: int, seed: int) -> dict[str, bytes]:
    write_ct_mri_combination_phantom(folder, patients=patients, seed=seed, image_px=64)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_each_modality_alone_is_worth_exactly_chance_and_both_tell_the_class(
    folder: Path, pictures: list[Picture]
) -> None:
    shown = {(p.patient, p.modality): mask_path(folder, p).is_file() for p in pictures}
    label = {p.patient: p.label for p in pictures}
    for modality in ("CT", "MR"):
        counts = Counter((label[patient], shown[patient, modality]) for patient in label)
        assert counts == dict.fromkeys([(a, b) for a in ("Healthy", "Tumor") for b in (False, True)], PATIENTS // 4)
    for patient, name in label.items():
        assert (name == "Tumor") == (shown[patient, "CT"] != shown[patient, "MR"])


def test_ct_and_mr_of_a_number_are_one_patient_and_names_tell_nothing(folder: Path, pictures: list[Picture]) -> None:
    data_set = read_data_set(TASKS["tumor_ct_mri"], folder)
    assert is_phantom(data_set)
    with (folder / "patients.csv").open(newline="") as file:
        patient_of = {row["path"]: row["patient_id"] for row in csv.DictReader(file)}
    assert len(data_set.records) == PATIENTS
    for record in data_set.records:
        assert record.second_path == record.path.replace("CT scan I", "MRI i").replace("ct_", "mri_")
        assert record.patient_id == patient_of[record.path] == patient_of[record.second_path]
    names = {label: {Path(p.path).name for p in pictures if p.label == label} for label in ("Healthy", "Tumor")}
    assert names["Healthy"] == names["Tumor"]


def test_the_manifests_sides_are_balanced_over_modalities_too(folder: Path) -> None:
    data_set = read_data_set(TASKS["tumor_ct_mri"], folder / "manifest.csv")
    assert is_phantom(data_set)
    by_layout = read_data_set(TASKS["tumor_ct_mri"], folder).records
    assert [(r.path, r.second_path, r.label, r.patient_id) for r in data_set.records] == [
        (r.path, r.second_path, r.label, r.patient_id) for r in by_layout
    ]
    counts = Counter(
        (record.shipped, *((folder / "masks" / path).with_suffix(".png").is_file() for path in paths))
        for record in data_set.records
        for paths in [(record.path, str(record.second_path))]
    )
    rounds = {"training": 6, "validation": 2, "test": 2}
    assert counts == {
        (side, ct, mr): rounds[str(side)] for side in rounds for ct in (False, True) for mr in (False, True)
    }


def test_a_lesion_is_plain_in_either_modality(folder: Path, pictures: list[Picture]) -> None:
    centres = []
    for picture in pictures:
        if not mask_path(folder, picture).is_file():
            continue
        mask_HW, picture_HW = np.asarray(Image.open(mask_path(folder, picture))) > 127, picture.read()
        mirrored_HW = mask_HW[:, ::-1] & ~mask_HW
        if mirrored_HW.any():  # a lesion in the middle mirrors onto itself
            assert picture_HW[mask_HW].mean() > picture_HW[mirrored_HW].mean() + 40
        assert mask_HW.mean() > 50 / 64**2, "at 64 px a network still sees dozens of pixels"
        centres.append(np.argwhere(mask_HW).mean(axis=0) / mask_HW.shape)
    assert (np.std(centres, axis=0) > 0.05).all()


def test_what_lies_outside_the_lesion_does_not_tell_the_class(folder: Path, pictures: list[Picture]) -> None:
    for modality in ("CT", "MR"):
        own = [p for p in pictures if p.modality == modality]
        labels = np.array([p.label for p in own])
        found = [shortcut_values(p.read()) | _outside(folder, p) for p in own]
        for name in found[0]:
            assert one_value_auroc(np.array([one[name] for one in found]), labels) <= 0.68, (modality, name)


def test_same_seed_same_bytes_and_a_patient_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = contents(tmp_path / "few", 8, 5)
    many, other = contents(tmp_path / "many", 16, 5), contents(tmp_path / "other", 8, 6)
    tables = {"patients.csv", "manifest.csv"}
    assert contents(tmp_path / "again", 8, 5) == few
    assert {name: many[name] for name in few.keys() - tables} == {name: few[name] for name in few.keys() - tables}
    images = [{name: one for name, one in made.items() if name.startswith("Dataset")} for made in (few, other)]
    assert images[0].keys() == images[1].keys()
    assert not set(images[0].values()) & set(images[1].values())
    with pytest.raises(ValueError, match="6 patients: must be a multiple of 4"):
        write_ct_mri_combination_phantom(tmp_path / "six", patients=6)


def _outside(folder: Path, picture: Picture) -> dict[str, float]:
    picture_HW, path = picture.read(), mask_path(folder, picture)
    outside_HW = np.ones(picture_HW.shape, bool) if not path.is_file() else np.asarray(Image.open(path)) <= 127
    rows, columns = picture_HW.shape
    with Image.open(io.BytesIO(picture.content)) as image:
        is_grey = image.mode == "L"
    return {"outside": picture_HW[outside_HW].mean(), "rows": rows, "aspect": columns / rows, "mode": float(is_grey)}
