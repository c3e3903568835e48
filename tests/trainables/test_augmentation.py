"""Crops, gamma and holes: what is drawn, how strongly, and that older settings keep their random numbers."""

import math

import pytest
import torch

from trainables.data.augmentation import Augmentation, augment

NEW = ({"random_crop_fraction": 0.7}, {"gamma": 0.3}, {"num_holes": 3})


def changed(x_BCHW: torch.Tensor, seed: int = 0, **by: float) -> torch.Tensor:
    return augment(x_BCHW, Augmentation(**by), torch.Generator().manual_seed(seed))


def ramps(num_images: int, side_px: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches of one image: grey is x, and grey is y, from 0 to 1."""
    x_BCHW = torch.linspace(0, 1, side_px).expand(num_images, 1, side_px, side_px)
    return x_BCHW, x_BCHW.mT


def windows(random_crop_fraction: float, num_images: int = 1000) -> torch.Tensor:
    """Return windows_B4 (left, top, right, bottom) that crops took, of an image from 0 to 1, by what they show."""
    side_px = 32
    shown = [changed(ramp, random_crop_fraction=random_crop_fraction)[:, 0] for ramp in ramps(num_images, side_px)]
    near_B2, far_B2 = (torch.stack([shown[0][:, i, i], shown[1][:, i, i]], dim=1) for i in (8, 23))
    part = (side_px - 1) / side_px  # grey is 0 and 1 in the middle of the first and the last pixel
    sides_B2 = (far_B2 - near_B2) * part * side_px / (23 - 8)
    centres_B2 = (near_B2 + far_B2) / 2 * part + 0.5 / side_px
    return torch.cat([centres_B2 - sides_B2 / 2, centres_B2 + sides_B2 / 2], dim=1)


def test_a_crop_takes_an_area_and_an_aspect_that_were_asked_for_anywhere_in_the_image() -> None:
    windows_B4 = windows(0.75)
    assert windows_B4.min() > -1e-3 and windows_B4.max() < 1.001
    width_B, height_B = (windows_B4[:, 2:] - windows_B4[:, :2]).unbind(dim=1)
    area_B, aspect_B = width_B * height_B, width_B / height_B
    assert (float(area_B.min()), float(area_B.max())) == pytest.approx((0.25, 1.0), abs=0.03)
    assert float(area_B.mean()) == pytest.approx((0.25 + 1) / 2, abs=0.03)
    assert (float(aspect_B.min()), float(aspect_B.max())) == pytest.approx((3 / 4, 4 / 3), abs=0.02)
    assert float(aspect_B.log().mean()) == pytest.approx(0, abs=0.02), "as often wide as high"
    small_B2 = windows_B4[area_B < 0.4]
    assert small_B2[:, :2].min() < 0.02 and small_B2[:, 2:].max() > 0.98, "up to each edge"
    assert small_B2[:, 0].std() > 0.08 and small_B2[:, 1].std() > 0.08, "each image has its own place"
    assert abs(float(torch.corrcoef(small_B2[:, :2].T)[0, 1])) < 0.2


def test_a_crop_of_all_changes_nothing_and_beside_a_turn_shows_what_lies_there() -> None:
    x_BCHW = torch.rand(4, 1, 16, 16)
    assert torch.allclose(changed(x_BCHW, random_crop_fraction=1e-7), x_BCHW, atol=1e-4)
    white_BCHW = torch.ones(200, 1, 32, 32)
    blank = [
        (changed(white_BCHW, rotation_deg=40, **by) < 0.5).float().mean() for by in ({}, {"random_crop_fraction": 0.9})
    ]
    assert blank[0] > 0.03
    assert blank[1] < blank[0]


def test_gamma_bends_grey_and_leaves_black_and_white() -> None:
    grey_BCHW = torch.tensor([0.0, 0.5, 1.0]).expand(2000, 1, 3, 3)
    bent = changed(grey_BCHW, gamma=0.4)
    assert torch.equal(bent[..., 0], torch.zeros_like(bent[..., 0]))
    assert torch.equal(bent[..., 2], torch.ones_like(bent[..., 2]))
    power_B = bent[:, 0, 0, 1].log() / math.log(0.5)
    assert (float(power_B.min()), float(power_B.max())) == pytest.approx((0.6, 1.4), abs=0.01)
    assert float(power_B.std()) == pytest.approx(0.4 / 3**0.5, abs=0.01), "drawn evenly"
    outside = changed(grey_BCHW, gamma=0.4, contrast=1.0, brightness=0.5)
    assert outside.isfinite().all() and outside.min() >= 0 and outside.max() <= 1


def test_holes_are_black_squares_of_the_size_and_number_that_were_asked_for() -> None:
    by = {"num_holes": 1, "hole_fraction": 8 / 224}
    for side_px, hole_px in ((224, 8), (112, 4), (20, 1)):
        is_hole_BHW = changed(torch.ones(50, 1, side_px, side_px), **by)[:, 0] == 0
        rows_B, columns_B = is_hole_BHW.any(dim=2).sum(dim=1), is_hole_BHW.any(dim=1).sum(dim=1)
        assert rows_B.tolist() == columns_B.tolist() == [hole_px] * 50
        assert (is_hole_BHW.sum(dim=(1, 2)) == hole_px**2).all(), "whole, within the image"
    x_BCHW = torch.ones(2000, 1, 32, 32)
    holes_B = (changed(x_BCHW, num_holes=8, hole_fraction=1 / 32) == 0).sum(dim=(1, 2, 3))
    assert (int(holes_B.min()), int(holes_B.max())) == (1, 8)
    assert float(holes_B.float().mean()) == pytest.approx(4.5, abs=0.15), "evenly; a few fall on one another"
    shown = changed(x_BCHW, num_holes=1, hole_fraction=1 / 32)[:, 0] == 0
    assert shown.any(dim=0).float().mean() > 0.5 and shown[:, [0, -1]].any() and shown[..., [0, -1]].any(), "anywhere"
    with_holes_B = (changed(x_BCHW, num_holes=8, hole_probability=0.2) == 0).any(dim=(1, 2, 3))
    assert float(with_holes_B.float().mean()) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("by", NEW)
def test_each_image_of_each_case_has_its_own_draw(by: dict) -> None:
    x_BMHW = torch.rand(16, 16).expand(8, 3, 16, 16)
    found = changed(x_BMHW, **by)
    assert len({image.numpy().tobytes() for case in found for image in case}) == 24
    assert torch.equal(changed(x_BMHW, **by), found), "of the generator alone"
    assert not torch.equal(changed(x_BMHW, seed=1, **by), found)
    alone = changed(x_BMHW.reshape(24, 1, 16, 16), **by)
    assert torch.equal(found.reshape(24, 1, 16, 16), alone), "as if each were a case of its own"


def test_images_that_lie_on_each_other_are_moved_alike_and_changed_in_grey_apart() -> None:
    x_BMHW = torch.rand(16, 16).expand(8, 2, 16, 16)
    moves = {"hflip": True, "rotation_deg": 30.0, "shift_fraction": 0.2, "zoom_fraction": 0.2}
    for by in (moves, {"hflip": True}, {"random_crop_fraction": 0.7}):
        together, apart = changed(x_BMHW, same_geometry=True, **by), changed(x_BMHW, **by)
        assert torch.equal(together[:, 0], together[:, 1]) and not torch.equal(apart[:, 0], apart[:, 1])
        assert torch.equal(together[:, 0], apart[:, 0]), "by the draws of the first"
        assert len({case.numpy().tobytes() for case in together}) > 1
    grey = changed(x_BMHW, same_geometry=True, brightness=0.3)
    assert not torch.equal(grey[:, 0], grey[:, 1])


def test_one_image_of_some_cases_is_left_out_each_as_often() -> None:
    x_BMHW = torch.full((2000, 2, 4, 4), 0.5)
    is_black_BM = (changed(x_BMHW, modality_dropout=0.3) == 0).all(dim=(2, 3))
    assert is_black_BM.sum(dim=1).max() == 1, "never both"
    assert float(is_black_BM.any(dim=1).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(is_black_BM[is_black_BM.any(dim=1), 0].float().mean()) == pytest.approx(0.5, abs=0.07)
    assert torch.equal(changed(x_BMHW), x_BMHW)
    alone = torch.full((50, 1, 4, 4), 0.5)
    assert torch.equal(changed(alone, modality_dropout=0.9), alone), "an only image is never left out"


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    x_BCHW = torch.rand(8, 1, 16, 16)
    for by in (
        {},
        {"random_crop_fraction": 0.0, "gamma": 0.0, "num_holes": 0},
        {"num_holes": 8, "hole_probability": 0.0},
    ):
        assert torch.equal(changed(x_BCHW, **by), x_BCHW)


def test_settings_of_older_journals_have_their_old_random_numbers() -> None:
    x_BCHW = torch.rand(8, 1, 16, 16)
    generator, by_hand = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    found = augment(x_BCHW, Augmentation(hflip=True, brightness=0.2, noise=0.1), generator)
    draw_B7 = torch.rand(8, 7, generator=by_hand)
    strength_B111 = torch.rand(8, 1, 1, 1, generator=by_hand) * 0.1
    noise_BCHW = strength_B111 * torch.randn(x_BCHW.shape, generator=by_hand)
    flipped = torch.where((draw_B7[:, 0] < 0.5).view(-1, 1, 1, 1), x_BCHW.flip(-1), x_BCHW)
    brighter = flipped + 0.2 * (draw_B7[:, 6] * 2 - 1).view(-1, 1, 1, 1)
    assert torch.allclose(found, (brighter + noise_BCHW).clamp(0, 1), atol=1e-6)
    assert torch.equal(generator.get_state(), by_hand.get_state()), "nothing further is drawn"
    with_holes = changed(x_BCHW, seed=5, hflip=True, brightness=0.2, noise=0.1, num_holes=2)
    assert torch.equal(torch.where(with_holes == 0, 0, found), with_holes), "and what is new is drawn after it"


def test_hyperparameters_of_older_journals_lack_what_is_new() -> None:
    old = {"hflip": True, "rotation_deg": 10.0, "shift_fraction": 0.0, "zoom_fraction": 0.0}
    old |= {"brightness": 0.0, "contrast": 0.0, "noise": 0.0, "lr": 1e-3}
    assert Augmentation.of(old) == Augmentation(hflip=True, rotation_deg=10.0)
