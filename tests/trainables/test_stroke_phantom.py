"""The stroke phantom: the real layout, a known lesion, and nothing but the lesion depends on the class."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from trainables.data import phantom
from trainables.data.phantom.draws import Draws, Stream, Task
from trainables.data.phantom.lesions import Kind, draw_stroke
from trainables.data.phantom.patients import draw_patient
from trainables.data.phantom.scanners import Contrast

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


@pytest.mark.parametrize("modality", ["BT", "MR"])
def test_lesion_is_inside_the_head_and_differs_from_its_surroundings(dataset: Path, modality: str) -> None:
    bright = []
    for picture in pictures(dataset, {f: p for f, p in STROKE_FOLDERS.items() if f.endswith(modality)}):
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
        assert abs(contrast) > 12, picture  # dark on maps of the diffusion coefficient, too
        bright.append(contrast > 0)
    low, high = (0.2, 0.8) if modality == "BT" else (0.6, 1.0)  # infarcts and bleeds; mostly diffusion-weighted
    assert low < np.mean(bright) < high


def test_ct_has_both_infarcts_and_bleeds(dataset: Path) -> None:
    signs = set()
    for picture in pictures(dataset, {"deep/train/1- Stroke/StrokeBT": ""}):
        picture_HW, mask_HW = read_grey(picture), read_grey(mask_path(dataset, picture))
        brain_HW = cv2.erode(head_hull(picture_HW), np.ones((41, 41), np.uint8)) > 0
        signs.add(bool(np.median(picture_HW[mask_HW > 0]) > np.median(picture_HW[brain_HW])))
    assert signs == {True, False}


def test_both_file_types_occur_in_both_classes_and_no_canvas_is_square(dataset: Path) -> None:
    for folders in (STROKE_FOLDERS, CONTROL_FOLDERS):
        for part in ("train", "test"):
            images = [Image.open(p) for p in pictures(dataset, {f: p for f, p in folders.items() if part in f})]
            assert {(i.format, i.mode) for i in images} == {("PNG", "RGBA"), ("JPEG", "RGB")}
            assert all(i.width != i.height for i in images)
            assert len({i.size for i in images}) > 1


def test_the_lesion_is_the_only_difference_between_sick_and_well() -> None:
    draws = Draws(seed=0, task=Task.STROKE, part=0, label=1, index=0)
    seeds = range(9)
    infarct = next(
        lesion for lesion in (draw_stroke(np.random.default_rng(s), 0.1) for s in seeds) if lesion.kind is Kind.INFARCT
    )
    sick, well = draw_patient(draws, infarct), draw_patient(draws, None)
    scan = sick.scan(Contrast.CT)
    assert scan == well.scan(Contrast.CT)
    one, other = (
        patient.slice(replace(scan, blur_px=0.1), 0.1, (192, 184), draws.rng(Stream.SLICE)) for patient in (sick, well)
    )
    assert other.mask is None
    far_HW = cv2.dilate((one.mask > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    assert not (one.picture != other.picture)[far_HW].any()
    assert (np.abs(one.picture - other.picture) > 0.1).sum() > 100
