"""Contact sheets show what they say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.audit.pictures import draw_shortcuts
from trainables.audit.sheets import choose_samples, draw_preprocessing_sheet, draw_sample_sheet
from trainables.audit.shortcuts import Shortcut


def test_samples_are_some_of_each_class_and_the_same_for_a_seed() -> None:
    labels = [0] * 30 + [1] * 3 + [2] * 30
    chosen = choose_samples(labels, 4, 5, seed=1)
    assert [labels[i] for i in chosen] == [0] * 5 + [1] * 3 + [2] * 5
    assert chosen == choose_samples(labels, 4, 5, seed=1) != choose_samples(labels, 4, 5, seed=2)
    assert len(set(chosen)) == len(chosen)


def test_the_sample_sheet_has_a_row_per_class(tmp_path: Path) -> None:
    bright_HW, dark_HW = np.full((40, 30), 255, np.uint8), np.zeros((20, 60), np.uint8)
    samples = [(bright_HW, "tumour", f"yes/a very long name indeed ({i}).jpg") for i in range(3)]
    draw_sample_sheet(tmp_path / "a.png", [*samples, (dark_HW, "healthy", "b.jpg")], ["healthy", "tumour"], "samples")
    draw_sample_sheet(tmp_path / "b.png", samples, ["healthy", "tumour"], "one class is empty")
    sheet_HW = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    assert sheet_HW.shape[1] > 3 * 120
    upper, lower = np.array_split(sheet_HW, 2)
    assert (upper == 0).mean() > (lower == 0).mean() + 0.02  # the dark slice stands in the row of its class


def test_the_preprocessing_sheet_keeps_the_raw_aspect_and_the_grey_scale(tmp_path: Path) -> None:
    raw = [np.full((40, 80), 128, np.uint8), np.full((64, 64), 128, np.uint8)]
    preprocessed_NHW = np.full((2, 32, 32), 0.5, np.float32)
    augmented_NAHW = np.full((2, 3, 32, 32), 0.5, np.float32)
    draw_preprocessing_sheet(tmp_path / "p.png", raw, preprocessed_NHW, augmented_NAHW, ["yes 1", "no 2"], "before")
    sheet_HW = np.asarray(Image.open(tmp_path / "p.png").convert("L"))
    grey_HW = np.abs(sheet_HW.astype(int) - 128) <= 1
    rows = np.flatnonzero(grey_HW.mean(axis=1) > 0.3)
    first = grey_HW[rows[0] : rows[len(rows) // 2 - 1]]
    lengths = np.diff(np.flatnonzero(np.diff(np.r_[0, first[len(first) // 2].astype(int), 0])))[::2]
    assert len(lengths) == 5  # raw, preprocessed, three draws: mid-grey stays mid-grey in all of them
    assert np.ptp(lengths) <= 3
    height_of_raw = grey_HW[: len(sheet_HW) // 2, np.flatnonzero(first[len(first) // 2])[10]].sum()
    assert abs(height_of_raw / lengths[0] - 0.5) < 0.1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["scan_$1_$2.jpg", r"a_$\frac$.jpg", "$a^^b$.jpg", "脳_1.tif"])
def test_names_are_shown_as_they_are(tmp_path: Path, name: str) -> None:
    slice_HW = np.zeros((8, 8), np.uint8)
    draw_sample_sheet(tmp_path / "s.png", [(slice_HW, name, name)], [name], name)
    draw_preprocessing_sheet(
        tmp_path / "p.png", [slice_HW], slice_HW[None], np.zeros((1, 1, 8, 8), np.float32), [name], name
    )
    shortcut = Shortcut("mode", 0.9, 0.5, 0.6, 1, True, True, name, 9, "")
    assert draw_shortcuts([shortcut]).startswith(b"\x89PNG")
