"""Pixels go by rank, as many as were asked for, and what replaces them is what the words say."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

from trainables.explain import removal
from trainables.explain.removal import blurred, filled, imputed, removal_masks, removal_order


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_highest_go_first() -> None:
    map_HW = np.array([[0.1, 0.9], [-1.0, 0.5]])
    order_P = removal_order(map_HW, rng())
    assert order_P.tolist() == [1, 3, 0, 2]
    gone_FHW = removal_masks(order_P, [0, 0.25, 0.5, 1], (2, 2))
    assert [gone_HW.ravel().tolist() for gone_HW in gone_FHW] == [
        [False] * 4,
        [False, True, False, False],
        [False, True, False, True],
        [True] * 4,
    ]


def test_a_map_that_is_mostly_zero_loses_no_more_than_asked_for() -> None:
    map_HW = np.zeros((20, 20))
    map_HW[:2] = 1 + np.arange(40).reshape(2, 20)
    for fraction in (0.05, 0.1, 0.3, 0.9):
        gone_HW = removal_masks(removal_order(map_HW, rng()), [fraction], (20, 20))[0]
        assert gone_HW.sum() == 400 * fraction
        assert gone_HW[:2].sum() == min(40, 400 * fraction), "what the map marks goes before its zeros"


def test_ties_are_broken_by_the_seed_and_nowhere_in_particular() -> None:
    flat_HW = np.zeros((30, 30))
    first_P = removal_order(flat_HW, rng(1))
    assert np.array_equal(first_P, removal_order(flat_HW, rng(1)))
    assert not np.array_equal(first_P, removal_order(flat_HW, rng(2)))
    gone_HW = removal_masks(first_P, [0.5], (30, 30))[0]
    assert gone_HW[:15].mean() == pytest.approx(0.5, abs=0.1)
    assert gone_HW[:, :15].mean() == pytest.approx(0.5, abs=0.1)


def test_fractions_are_fractions() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        removal_masks(np.arange(4), [0.1, 10], (2, 2))


def test_fill_replaces_what_is_gone_and_nothing_else() -> None:
    image_CHW = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    fill_CHW = blurred(image_CHW)
    assert fill_CHW.shape == image_CHW.shape and fill_CHW.std() < image_CHW.std() / 2
    gone_FHW = np.zeros((2, 16, 16), dtype=bool)
    gone_FHW[1, 3, 4] = True
    images_FCHW = filled(image_CHW, gone_FHW, fill_CHW)
    assert torch.equal(images_FCHW[0], image_CHW)
    assert torch.equal(images_FCHW[1, :, 3, 4], fill_CHW[:, 3, 4])
    assert int((images_FCHW[1] != image_CHW).sum()) == 3


def test_an_even_image_is_imputed_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "NOISE", 0.0)
    ramp_HW = torch.linspace(0, 1, 12).repeat(12, 1)
    gone_HW = np.zeros((12, 12), dtype=bool)
    gone_HW[4:7, 4:8] = True
    assert torch.allclose(imputed(ramp_HW[None], gone_HW, rng()), ramp_HW[None], atol=1e-5)


def test_the_equations_are_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "NOISE", 0.0)
    image_CHW = torch.rand(3, 24, 20, generator=torch.Generator().manual_seed(0))
    gone_HW = rng().random((24, 20)) < 0.7
    theirs_CHW = NoisyLinearImputer(noise=0.0)(image_CHW, torch.from_numpy((~gone_HW).astype(np.float32)))
    assert torch.allclose(imputed(image_CHW, gone_HW, rng()), theirs_CHW, atol=1e-5)


def test_noise_comes_from_the_seed_and_leaves_torch_alone() -> None:
    image_CHW = torch.full((3, 16, 16), 0.5)
    gone_HW = np.zeros((16, 16), dtype=bool)
    gone_HW[:8] = True
    before = torch.get_rng_state()
    first = imputed(image_CHW, gone_HW, rng(5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, imputed(image_CHW, gone_HW, rng(5)))
    assert not torch.equal(first, imputed(image_CHW, gone_HW, rng(6)))
    noise_CHW = first - image_CHW
    assert noise_CHW[0, :8].std() == pytest.approx(removal.NOISE, rel=0.3) and not noise_CHW[:, 8:].any()
    assert torch.equal(first[0], first[1]), "grey stays grey"


def test_imputing_nothing_or_everything() -> None:
    image_CHW = torch.rand(1, 8, 8)
    assert torch.equal(imputed(image_CHW, np.zeros((8, 8), dtype=bool), rng()), image_CHW)
    with pytest.raises(ValueError, match="every pixel is gone"):
        imputed(image_CHW, np.ones((8, 8), dtype=bool), rng())
