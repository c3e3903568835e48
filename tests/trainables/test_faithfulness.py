"""Deletion, insertion and ROAD on a model whose reasons are known: the true map wins, its opposite loses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from proof_support import SIDE_PX, blob_image, blob_mask, blob_model

from trainables.explain import removal
from trainables.explain.controls import CONTROLS, RANDOM_DRAWS, centre_map, control_maps, random_map
from trainables.explain.faithfulness import area, class_probabilities, removal_curves, road_curves
from trainables.explain.localisation import to_image_grid

MASK = blob_mask(8, 22)
IMAGE = blob_image(MASK)
ORACLE = MASK.astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_area_by_hand() -> None:
    assert area(np.array([0, 0.5, 1]), np.array([1, 0.5, 0])) == pytest.approx(0.5)
    assert area(np.array([0, 0.25, 1]), np.array([1, 0, 0])) == pytest.approx(0.125)
    assert area(np.array([0.1, 0.9]), np.array([0.7, 0.7])) == pytest.approx(0.7)


def test_curves_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two by two pixels of which one is the answer; fill is black."""
    monkeypatch.setattr("trainables.explain.faithfulness.blurred", torch.zeros_like)
    map_HW = np.array([[4.0, 3.0], [2.0, 1.0]])
    image_CHW = torch.tensor([[[0.2, 0.8], [0.2, 0.2]]])

    def predict(images_BCHW: torch.Tensor) -> torch.Tensor:
        bright_B = images_BCHW[:, 0, 0, 1]
        return torch.stack([1 - bright_B, bright_B], dim=1)

    curves = removal_curves(predict, image_CHW, map_HW, 1, rng(), steps=4)
    assert curves is not None
    assert curves.deletion_F == pytest.approx([0.8, 0.8, 0, 0, 0])
    assert curves.insertion_F == pytest.approx([0, 0, 0.8, 0.8, 0.8])
    assert curves.deletion_area == pytest.approx((0.8 + 0.4) / 4)
    assert curves.early_deletion_area == pytest.approx(0.8), "at 0.2 of the pixels none that matters went"
    steep = replace(curves, deletion_F=np.array([0.8, 0.3, 0, 0, 0]))
    assert steep.early_deletion_area == pytest.approx((0.8 + 0.4) / 2), "0.4 lies on the line to the first step"
    assert curves.insertion_area == pytest.approx((0.4 + 0.8 + 0.8) / 4)
    other = removal_curves(predict, image_CHW, map_HW, 0, rng(), steps=4)
    assert other is not None and other.deletion_F == pytest.approx(1 - curves.deletion_F)


def test_the_true_map_wins_and_its_opposite_loses() -> None:
    predict = blob_model(MASK)
    controls = [control_maps(control, (SIDE_PX, SIDE_PX), 0, 3)[0] for control in CONTROLS]
    maps = [ORACLE, *controls, 1 - ORACLE]
    removed = [removal_curves(predict, IMAGE, map_HW, 1, rng()) for map_HW in maps]
    road = [road_curves(predict, IMAGE, map_HW, 1, rng()) for map_HW in maps]
    assert all(removed) and all(road)
    true, *blind, wrong = ([one.deletion_area, -one.insertion_area] for one in removed if one)
    for k in range(2):
        assert true[k] < min(one[k] for one in blind) - 0.05
        assert wrong[k] > max(one[k] for one in blind) + 0.05
    true, *blind, wrong = ([one.morf, -one.lerf] for one in road if one)
    for k in range(2):
        assert true[k] < min(one[k] for one in blind) - 0.05
        assert wrong[k] > max(one[k] for one in blind)


def test_a_blank_map_has_no_curve() -> None:
    for value in (0.0, -0.5, 1.0):
        map_HW = np.full((SIDE_PX, SIDE_PX), value)
        assert removal_curves(blob_model(MASK), IMAGE, map_HW, 1, rng()) is None
        assert road_curves(blob_model(MASK), IMAGE, map_HW, 1, rng()) is None


def test_road_of_a_map_that_is_mostly_zero_removes_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[int] = []
    whole = removal.imputed

    def counted(image_CHW: torch.Tensor, gone_HW: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        gone.append(int(gone_HW.sum()))
        return whole(image_CHW, gone_HW, rng)

    monkeypatch.setattr("trainables.explain.faithfulness.imputed", counted)
    assert ORACLE.mean() < 0.1, "nine tenths are zero"
    road = road_curves(blob_model(MASK), IMAGE, ORACLE, 1, rng(), (10, 50, 90))
    assert gone == 2 * [round(SIDE_PX**2 * fraction) for fraction in (0.1, 0.5, 0.9)]
    assert road is not None
    assert road.lerf_F[0] == pytest.approx(0.95, abs=0.01), "what the model looks at is still there"
    assert road.lerf_F[-1] == pytest.approx(0.95, abs=0.05)


def test_the_same_seed_gives_the_same_numbers_and_torch_is_left_alone() -> None:
    predict, coarse_HW = blob_model(MASK), to_image_grid(random_map((4, 4), 1, 2), (SIDE_PX, SIDE_PX))
    before = torch.get_rng_state()
    first, again = (road_curves(predict, IMAGE, coarse_HW, 1, rng()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first is not None and again is not None
    assert np.array_equal(first.morf_F, again.morf_F) and np.array_equal(first.lerf_F, again.lerf_F)


def test_predict_is_held_to_its_word() -> None:
    images = IMAGE[None]
    with pytest.raises(ValueError, match="not logits"):
        class_probabilities(lambda x: torch.tensor([[3.0, -2.0]]), images, 0)
    with pytest.raises(ValueError, match="with class 1"):
        class_probabilities(lambda x: torch.tensor([[0.5]]), images, 1)
    with pytest.raises(ValueError, match="expected probabilities"):
        class_probabilities(lambda x: torch.tensor([0.5]), images, 0)
    with pytest.raises(ValueError, match="to_image_grid"):
        removal_curves(blob_model(MASK), IMAGE, np.eye(7), 1, rng())
    with pytest.raises(ValueError, match="between 0 and 100"):
        road_curves(blob_model(MASK), IMAGE, ORACLE, 1, rng(), (0, 100))


def test_controls_hang_on_seed_and_image_alone() -> None:
    assert np.array_equal(random_map((7, 7), 4, 9), random_map((7, 7), 4, 9))
    assert not np.array_equal(random_map((7, 7), 4, 9), random_map((7, 7), 4, 10))
    assert not np.array_equal(random_map((7, 7), 4, 9), random_map((7, 7), 5, 9))
    draws = control_maps("random", (7, 7), 4, 9)
    assert np.array_equal(draws[0], random_map((7, 7), 4, 9)) and len(np.unique(draws, axis=0)) == RANDOM_DRAWS
    bump_hw = centre_map((7, 9))
    assert np.unravel_index(bump_hw.argmax(), (7, 9)) == (3, 4) and bump_hw.min() > 0
    assert np.allclose(bump_hw, bump_hw[::-1, ::-1])
