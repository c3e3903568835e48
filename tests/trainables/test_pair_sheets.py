"""Sheets of cases of two images: both stand side by side, under their names, before and after preprocessing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.audit.pair_sheets import RawPair, pair_preprocessing_figure, pair_samples_figure
from trainables.catalog import TASKS
from trainables.data.augmentation import Augmentation
from trainables.data.examine import ExaminedData, examine_data
from trainables.data.layouts.pairing import file_number
from trainables.data.pair_sheets import draw_pair_sheets, draw_pairs_to_look_at
from trainables.data.phantom import write_tumor_ct_mri_phantom
from trainables.data.sides import default_test_cases
from trainables.data.views import View

TASK = TASKS["tumor_ct_mri"]


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> ExaminedData:
    home = tmp_path_factory.mktemp("pairs")
    write_tumor_ct_mri_phantom(home / "set", patients=24, slices_per_modality=1, image_px=48)
    (home / "staging").mkdir()
    return examine_data(TASK, home / "set", [], home / "cache", home / "staging", lambda *heard: None)


def shown(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_both_images_of_a_case_stand_next_to_each_other_and_cases_apart() -> None:
    bright_HW, dark_HW = np.full((40, 30), 255, np.uint8), np.zeros((20, 60), np.uint8)
    samples = [RawPair((bright_HW, dark_HW), (f"ct ({n}).jpg", f"mr_$1_$2 ({n}).jpg"), "tumor") for n in range(3)]
    figure = pair_samples_figure(samples, TASK.classes, "samples")
    assert [cell_HW.mean() for cell_HW in shown(figure)] == [255, 0] * 3
    named = [axes.get_title() for axes in figure.axes if axes.images]
    assert named == [name for sample in samples for name in sample.names]
    rows = {axes.get_ylabel(): axes for axes in figure.axes if axes.get_ylabel()}
    assert [text.get_text() for text in rows["healthy"].texts] == ["none"] and not rows["tumor"].texts
    figure.canvas.draw()
    left = [axes.get_position().x0 for axes in figure.axes if axes.images]
    between, within = left[2] - left[1], left[1] - left[0]
    assert between > 1.1 * within


def test_a_row_shows_a_case_before_and_after(examined: ExaminedData) -> None:
    raw = [RawPair((np.full((40, 30), 9, np.uint8), np.full((20, 60), 8, np.uint8)), ("a", "b"), "tumor")]
    squares_N2HW, draws_NA2HW = np.full((1, 2, 16, 16), 7, np.uint8), np.full((1, 3, 2, 16, 16), 0.5)
    figure = pair_preprocessing_figure(raw, squares_N2HW, draws_NA2HW, ("CT", "MR"), "before")
    assert [cell_HW.shape for cell_HW in shown(figure)] == [(40, 30), (20, 60), *[(16, 16)] * 8]
    heads = [axes.get_title() for axes in figure.axes if axes.images]
    assert heads[:4] == ["CT as decoded", "MR as decoded", "CT preprocessed", "MR preprocessed"]
    assert heads[-1] == "MR draw 3"


def test_sheets_of_a_set_show_pairs_of_its_training_side_alone(
    examined: ExaminedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[RawPair] = []

    def remember(samples: list[RawPair], classes: tuple[str, ...], title: str):
        drawn.extend(samples)
        return pair_samples_figure(samples, classes, title)

    monkeypatch.setattr("trainables.data.pair_sheets.pair_samples_figure", remember)
    draw_pairs_to_look_at(tmp_path, TASK, examined)
    assert [pair.label for pair in drawn] == ["healthy"] * 4 + ["tumor"] * 4
    assert all(file_number(pair.names[0]) == file_number(pair.names[1]) for pair in drawn)
    test = {Path(examined.cases[case].record.path).name for case in default_test_cases(TASK, examined)}
    assert test and not test & {pair.names[0] for pair in drawn}
    for name in ("samples.png", "preprocessing.png"):
        assert Image.open(tmp_path / name).width > 500


def test_images_of_a_case_are_augmented_apart_unless_they_lie_on_each_other(
    examined: ExaminedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[np.ndarray] = []

    def remember(raw, squares_N2HW, draws_NA2HW, modalities, title):
        drawn.append(draws_NA2HW)
        return pair_preprocessing_figure(raw, squares_N2HW, draws_NA2HW, modalities, title)

    monkeypatch.setattr("trainables.data.pair_sheets.pair_preprocessing_figure", remember)
    path = examined.cases[0].record.path
    cases = [(path, path, 0)]  # one file as both: alike before, alike after
    strong = Augmentation(hflip=True, rotation_deg=30, zoom_fraction=0.2)
    for by in (strong, replace(strong, same_geometry=True)):
        draw_pair_sheets(tmp_path, TASK, cases, examined.data_set.read, View(32), by, 0)
    apart, alike = drawn
    assert apart.shape == (1, 3, 2, 32, 32)
    assert np.array_equal(alike[:, :, 0], alike[:, :, 1])
    assert not np.array_equal(apart[:, :, 0], apart[:, :, 1])
    assert not np.array_equal(alike[:, 0], alike[:, 1])
    draw_pair_sheets(tmp_path / "none", TASK, [], examined.data_set.read, View(32), strong, 0)
    assert not (tmp_path / "none").exists()
