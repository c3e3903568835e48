"""The stroke phantom: same bytes for a seed, the real layout, a known lesion, and no shortcut to the class."""

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from trainables.data import phantom

STROKE_FOLDERS = {  # folder -> first part of the file name
    "deep/train/1- Stroke/StrokeBT": "1_1",
    "deep/train/1- Stroke/StrokeMR": "1_2",
    "deep/test/strokeBT": "1_1",
    "deep/test/strokeMR": "1_2",
}
CONTROL_FOLDERS = {
    "deep/train/2- Control/NormalBT": "2_1",
    "deep/train/2- Control/NormalMR": "2_2",
    "deep/test/normalBT": "2_1",
    "deep/test/normalMR": "2_2",
}
TRAIN_PATIENTS, TEST_PATIENTS, SLICES = 32, 8, 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    phantom.write_stroke_phantom(folder, train_patients=TRAIN_PATIENTS, test_patients=TEST_PATIENTS, seed=0)
    return folder


def bytes_by_path(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def written(folder: Path, **arguments: int) -> dict[str, bytes]:
    folder.mkdir()
    phantom.write_stroke_phantom(folder, **arguments)
    return bytes_by_path(folder)


def pictures(folder: Path, folders: dict[str, str]) -> Iterator[Path]:
    for relative in folders:
        yield from sorted((folder / relative).iterdir())


def read_grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"))


def mask_path(folder: Path, picture: Path) -> Path:
    return folder / "masks" / picture.relative_to(folder).with_suffix(".png")


def head_hull(picture_HW: np.ndarray) -> np.ndarray:
    """Convex hull of the largest bright object: the patient table of a CT is a separate, smaller one."""
    smooth_HW = cv2.GaussianBlur(picture_HW, (5, 5), 0)
    bright_HW = (smooth_HW > np.percentile(smooth_HW, 75) / 2).astype(np.uint8)  # half of the brain's level
    contours, _ = cv2.findContours(bright_HW, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    return cv2.drawContours(np.zeros_like(picture_HW), [hull], -1, 255, cv2.FILLED)


def test_same_seed_same_bytes_and_other_seed_other_pictures(tmp_path: Path) -> None:
    first = written(tmp_path / "a", train_patients=2, test_patients=2, seed=5)
    assert first == written(tmp_path / "b", train_patients=2, test_patients=2, seed=5)
    other = written(tmp_path / "c", train_patients=2, test_patients=2, seed=6)
    assert not {p: b for p, b in first.items() if p != "patients.csv"}.items() & other.items()


def test_a_patient_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    few = written(tmp_path / "few", train_patients=3, test_patients=2, seed=1)
    many = written(tmp_path / "many", train_patients=6, test_patients=4, seed=1)
    del few["patients.csv"]
    assert few.items() < many.items()


def test_patients_differ_between_and_within_the_parts(dataset: Path) -> None:
    contents = [p.read_bytes() for p in pictures(dataset, STROKE_FOLDERS | CONTROL_FOLDERS)]
    assert len(set(contents)) == len(contents) == (TRAIN_PATIENTS + TEST_PATIENTS) * 2 * SLICES


@pytest.mark.parametrize("slices", [1, 3])
def test_layout_and_names(tmp_path: Path, slices: int) -> None:
    phantom.write_stroke_phantom(tmp_path, train_patients=6, test_patients=3, slices_per_modality=slices, image_px=64)
    expected = set()
    for folders, patients in ((STROKE_FOLDERS, {"train": 3, "test": 2}), (CONTROL_FOLDERS, {"train": 3, "test": 1})):
        for relative, prefix in folders.items():
            numbers = range(1, patients[relative.split("/")[1]] * slices + 1)
            expected |= {f"{relative}/{prefix} ({n})" for n in numbers}
    masks = {f"masks/{stem}" for stem in expected if "roke" in stem}
    found = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.suffix for p in found} <= {".png", ".jpg", ".csv", ".txt"}
    assert sorted(p.with_suffix("").as_posix() for p in found) == sorted(expected | masks | {"patients", "phantom"})


def test_csv_names_every_picture_once_and_both_modalities_of_a_patient(dataset: Path) -> None:
    with (dataset / "patients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "patient_id"]
    listed = [row["path"] for row in rows]
    assert sorted(listed) == sorted(p for p in bytes_by_path(dataset) if p.startswith("deep/"))
    by_patient: dict[str, list[str]] = {}
    for row in rows:
        by_patient.setdefault(row["patient_id"], []).append(row["path"])
    assert len(by_patient) == TRAIN_PATIENTS + TEST_PATIENTS
    for paths in by_patient.values():
        assert sorted(Path(p).parent.name[-2:] for p in paths) == ["BT"] * SLICES + ["MR"] * SLICES
        assert len({Path(p).name[0] for p in paths}) == len({p.split("/")[1] for p in paths}) == 1


def test_lesion_is_inside_the_head_and_differs_from_its_surroundings(dataset: Path) -> None:
    for picture in pictures(dataset, STROKE_FOLDERS):
        picture_HW, mask_HW = read_grey(picture), read_grey(mask_path(dataset, picture))
        assert mask_HW.shape == picture_HW.shape
        assert set(np.unique(mask_HW)) == {0, 255}
        assert 0.005 < (mask_HW > 0).mean() < 0.15
        assert not ((mask_HW > 0) & (head_hull(picture_HW) == 0)).any(), picture
        inside_HW = cv2.erode(mask_HW, np.ones((5, 5), np.uint8)) > 0
        # 4 to 8 px off the lesion, without air, skull and scalp
        near_HW = cv2.dilate(mask_HW, np.ones((17, 17), np.uint8)) > cv2.dilate(mask_HW, np.ones((9, 9), np.uint8))
        core_HW = cv2.erode(head_hull(picture_HW), np.ones((31, 31), np.uint8)) > 0
        contrast = np.median(picture_HW[inside_HW]) - np.median(picture_HW[near_HW & core_HW])
        if picture.parent.name.endswith("MR"):
            assert contrast > 12, picture
        else:
            assert abs(contrast) > 12, picture


def test_ct_has_both_infarcts_and_bleeds(dataset: Path) -> None:
    signs = set()
    for picture in pictures(dataset, {"deep/train/1- Stroke/StrokeBT": ""}):
        picture_HW, mask_HW = read_grey(picture), read_grey(mask_path(dataset, picture))
        brain_HW = cv2.erode(head_hull(picture_HW), np.ones((41, 41), np.uint8)) > 0
        signs.add(bool(np.median(picture_HW[mask_HW > 0]) > np.median(picture_HW[brain_HW])))
    assert signs == {True, False}


def test_controls_have_no_mask(dataset: Path) -> None:
    assert not [p for p in pictures(dataset, CONTROL_FOLDERS) if mask_path(dataset, p).exists()]


@pytest.mark.parametrize("modality", ["BT", "MR"])
@pytest.mark.parametrize("reduce", [np.mean, np.max, np.size], ids=["mean", "max", "canvas"])
def test_intensity_and_canvas_do_not_give_the_class_away(dataset: Path, modality: str, reduce: np.ufunc) -> None:
    labels, values = [], []
    for label, folders in enumerate((CONTROL_FOLDERS, STROKE_FOLDERS)):
        for picture in pictures(dataset, {f: p for f, p in folders.items() if f.endswith(modality)}):
            labels.append(label)
            values.append(reduce(read_grey(picture)))
    assert len(labels) == (TRAIN_PATIENTS + TEST_PATIENTS) * SLICES
    assert 0.35 <= roc_auc_score(labels, values) <= 0.65


def test_both_file_types_occur_in_both_classes_and_no_canvas_is_square(dataset: Path) -> None:
    for folders in (STROKE_FOLDERS, CONTROL_FOLDERS):
        for part in ("train", "test"):
            images = [Image.open(p) for p in pictures(dataset, {f: p for f, p in folders.items() if part in f})]
            assert {(i.format, i.mode) for i in images} == {("PNG", "RGBA"), ("JPEG", "RGB")}
            assert all(i.width != i.height for i in images)
            assert len({i.size for i in images}) > 1


def test_one_patient_is_one_head_and_the_lesion_the_only_difference_between_the_classes() -> None:
    rng = np.random.default_rng(0)
    head, lesion = phantom._draw_head(rng, 0.5), phantom._draw_lesion(rng)
    scan = phantom._draw_scan(rng, phantom._Modality.CT, 0.5)
    sick, well = (phantom._anatomy(head, planted, scan, (192, 184), 0.05) for planted in (lesion, None))
    for name in ("brain", "skull", "scalp", "csf", "grey"):
        np.testing.assert_array_equal(getattr(sick, name), getattr(well, name))
    sick_HW = phantom._ct_picture(sick, lesion, scan, np.random.default_rng(1))
    well_HW = phantom._ct_picture(well, None, scan, np.random.default_rng(1))
    assert not (sick_HW != well_HW)[sick.lesion == 0].any()
    assert (np.abs(sick_HW - well_HW) > 0.1).sum() > 100
