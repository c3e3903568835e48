"""Where a map's peak and its mass lie, against examples worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from phantom_support import mask_path, read_pictures
from PIL import Image

from trainables.data.images import resize_square
from trainables.data.phantom import PHANTOMS
from trainables.explain.localisation import (
    EVEN_FRACTION,
    energy_outside,
    energy_within,
    head_mask,
    is_blank,
    is_even,
    pointing_score,
    to_image_grid,
)
from trainables.explain.masks import shrink_mask

MASK = np.zeros((4, 4), dtype=bool)
MASK[1, 1] = MASK[1, 2] = True


def peaked(*places: tuple[int, int]) -> np.ndarray:
    map_HW = np.zeros((4, 4))
    for place in places:
        map_HW[place] = 3.0
    return map_HW


def test_the_peak_counts_wherever_the_rest_lies() -> None:
    map_HW = np.full((4, 4), 2.0)
    map_HW[1, 1] = 2.1
    assert pointing_score(map_HW, MASK) == 1
    map_HW[3, 3] = 2.2
    assert pointing_score(map_HW, MASK) == 0


def test_equal_maxima_share_the_point() -> None:
    assert pointing_score(peaked((1, 1), (3, 3), (0, 0), (1, 2)), MASK) == pytest.approx(2 / 4)
    almost = peaked((1, 1), (3, 3))
    almost[1, 1] += 1e-9
    assert pointing_score(almost, MASK) == pytest.approx(1 / 2), "digits that interpolation leaves are no maximum"


@pytest.mark.parametrize(("tolerance_px", "score"), [(0, 0), (1, 0), (1.5, 1), (2, 1)])
def test_tolerance_is_a_distance(tolerance_px: float, score: float) -> None:
    assert pointing_score(peaked((2, 3)), MASK, tolerance_px) == score, "one down, one to the right: 1.41 px away"


def test_energy_is_of_the_positive_part() -> None:
    map_HW = peaked((1, 1))
    map_HW[0, 0], map_HW[3, 3] = 1.0, -50.0
    assert energy_within(map_HW, MASK) == pytest.approx(3 / 4)
    head_HW = np.ones((4, 4), dtype=bool)
    head_HW[0, 0] = False
    assert energy_outside(map_HW, head_HW) == pytest.approx(1 / 4)


@pytest.mark.parametrize(("fraction", "even"), [(0.9, True), (1.1, False)])
def test_a_range_is_even_up_to_what_sums_differ_by(fraction: float, even: bool) -> None:
    map_HW = np.full((4, 4), 5.0)
    map_HW[1, 2] -= fraction * EVEN_FRACTION * 5
    assert is_even(map_HW) == is_blank(map_HW) == even


@pytest.mark.parametrize("value", [0.0, -1.0, 0.7])
def test_a_blank_map_has_no_score(value: float) -> None:
    blank_HW = np.full((4, 4), value)
    assert is_blank(blank_HW)
    assert pointing_score(blank_HW, MASK) is None
    assert energy_within(blank_HW, MASK) is None
    assert energy_outside(blank_HW, MASK) is None


def test_nothing_marked_and_no_head_have_no_score() -> None:
    nothing = np.zeros((4, 4), dtype=bool)
    assert pointing_score(peaked((0, 0)), nothing) is None
    assert energy_within(peaked((0, 0)), nothing) is None
    assert energy_outside(peaked((0, 0)), nothing) is None
    assert not head_mask(np.full((4, 4), 0.5)).any()


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        pointing_score(np.full((4, 4), np.nan), MASK)


def test_a_coarse_map_is_spread_without_new_extremes() -> None:
    map_hw = np.zeros((4, 4))
    map_hw[1, 2] = 2.0
    map_HW = to_image_grid(map_hw, (32, 32))
    assert map_HW.shape == (32, 32) and map_HW.min() == 0 and map_HW.max() <= 2
    row, column = np.unravel_index(map_HW.argmax(), map_HW.shape)
    assert (row // 8, column // 8) == (1, 2)
    assert to_image_grid(np.eye(64), (32, 32)).mean() == pytest.approx(1 / 64)


def test_head_leaves_out_the_table_and_keeps_the_air_inside() -> None:
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 28, x - 32)
    image_HW = np.where(radius < 20, 0.3, 0.0) + np.where(np.abs(radius - 19) < 1.5, 0.7, 0.0)
    image_HW[24:30, 28:36] = 0.0
    image_HW[56:58, 2:62] = 0.9
    head_HW = head_mask(image_HW + 0.02)
    assert (head_HW == (radius < 20.5)).mean() > 0.99, "the ring is as wide as that"


@pytest.mark.parametrize("task", ["stroke", "tumor_4class", "alzheimer"])
def test_the_head_of_a_phantom_holds_its_lesion(task: str, tmp_path: Path) -> None:
    PHANTOMS[task](tmp_path, 8, 4)
    for picture in read_pictures(tmp_path)[:16]:
        head_HW = head_mask(resize_square(picture.read(), 96) / 255)
        assert 0.2 < head_HW.mean() < 0.65
        assert not head_HW[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        if mask_path(tmp_path, picture).is_file():
            mask_HW = shrink_mask(np.asarray(Image.open(mask_path(tmp_path, picture))) > 127, 96)
            assert not (mask_HW & ~head_HW).any()
