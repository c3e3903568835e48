"""Randomised layers and moved images: an honest explainer passes, an edge detector is found out."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from proof_support import blob_image, blob_mask
from torch import nn

from trainables.explain.rank_correlation import rank_correlation
from trainables.explain.sanity import layer_names, randomisation_test, randomised_copy, shift_stability

IMAGES = torch.stack([blob_image(blob_mask(8 + 3 * k, 22 - 3 * k), seed=k) for k in range(5)])


@pytest.fixture(scope="module")
def model() -> Iterator[nn.Module]:
    """A trained net: is the blob on the left; its gradients are no accident."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 5, padding=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, 2),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    places = np.random.default_rng(0).integers(7, 25, size=(40, 2))
    x = torch.stack([blob_image(blob_mask(row, column), seed=k) for k, (row, column) in enumerate(places)])
    y = torch.from_numpy((places[:, 1] < 16).astype(np.int64))
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    net.eval()
    assert (net(x).argmax(dim=1) == y).float().mean() > 0.9
    yield net


def gradients(net: nn.Module, images_BCHW: torch.Tensor) -> np.ndarray:
    x = images_BCHW.clone().requires_grad_()
    (grad,) = torch.autograd.grad(net(x)[:, 1].sum(), x)
    return np.abs(grad.detach().numpy()[:, 0])


def edges(net: nn.Module, images_BCHW: torch.Tensor) -> np.ndarray:
    """Return what an image editor would: how steep the grey is, whatever the model."""
    along, across = np.gradient(images_BCHW[:, 0].numpy(), axis=(1, 2))
    return np.hypot(along, across)


def test_rank_correlation_by_hand() -> None:
    first = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(first, np.exp(5 * first)) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)
    assert rank_correlation(first, np.array([[1.0, 2.0], [4.0, 3.0]])) == pytest.approx(0.8)
    tied = np.array([[0.0, 0.0], [0.0, 1.0]])
    assert rank_correlation(first, tied) == pytest.approx(3 / np.sqrt(5 * 3)), "ranks 2, 2, 2, 4"
    assert rank_correlation(first, np.ones((2, 2))) is None
    with pytest.raises(ValueError, match="same grid"):
        rank_correlation(first, np.ones((2, 3)))


def test_an_honest_map_changes_with_the_model(model: nn.Module) -> None:
    found = randomisation_test(lambda net: gradients(net, IMAGES), model, IMAGES, seed=0)
    assert found.passed is True
    assert "depends on the model" in found.sentence
    assert [(step.down_to, step.layers) for step in found.steps] == [("7", 1), ("3", 2), ("2", 3), ("0", 4)]
    assert found.steps[-1].alike is not None and found.steps[-1].alike < 0.3
    assert found == randomisation_test(lambda net: gradients(net, IMAGES), model, IMAGES, seed=0), "seeded"


def test_the_air_around_a_head_does_not_make_maps_alike(model: nn.Module) -> None:
    """Gradient times image is zero outside the head by whatever model, yet it depends on the weights inside."""

    def times_image(net: nn.Module) -> np.ndarray:
        return gradients(net, IMAGES) * IMAGES[:, 0].numpy()

    randomised = randomised_copy(model, layer_names(model), 0)
    whole = [rank_correlation(*pair) for pair in zip(times_image(model), times_image(randomised), strict=True)]
    assert all(value is not None and value > 0.6 for value in whole)
    found = randomisation_test(times_image, model, IMAGES, seed=0)
    assert found.passed is True and found.steps[-1].alike is not None and found.steps[-1].alike < 0.4


def test_an_edge_detector_is_found_out(model: nn.Module) -> None:
    found = randomisation_test(lambda net: edges(net, IMAGES), model, IMAGES, seed=0)
    assert found.passed is False
    assert all(step.alike == pytest.approx(1) for step in found.steps)
    assert "edges" in found.sentence

    def signed(net: nn.Module) -> np.ndarray:
        sign = 1 if float(next(net.parameters()).detach().sum()) > 0 else -1
        return 2 + sign * edges(net, IMAGES)

    for seed in range(4):
        assert randomisation_test(signed, model, IMAGES, seed=seed).passed is False, "a negative shows the same edges"


def test_blank_maps_tell_nothing_before_and_a_change_after(model: nn.Module) -> None:
    nothing = randomisation_test(lambda net: np.zeros((5, 4, 4)), model, IMAGES, seed=0)
    assert nothing.passed is None and "points anywhere" in nothing.sentence
    calls = []

    def vanishing(net: nn.Module) -> np.ndarray:
        calls.append(1)
        return np.random.default_rng(0).random((5, 4, 4)) if len(calls) == 1 else np.zeros((5, 4, 4))

    gone = randomisation_test(vanishing, model, IMAGES, seed=0)
    assert gone.passed is True and "vanishes" in gone.sentence
    assert [step.blank for step in gone.steps] == [5] * len(gone.steps)


def test_the_model_is_left_alone_and_the_copy_keeps_its_scale(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names = layer_names(model)
    assert names == ["7", "3", "2", "0"]
    changed = randomised_copy(model, names[:2], seed=1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        is_random = name.split(".")[0] in ("7", "3")
        assert torch.equal(changed.state_dict()[name], value) != is_random
    scale = model.get_parameter("3.weight").square().mean().sqrt().item()
    assert changed.get_parameter("3.weight").square().mean().sqrt().item() == pytest.approx(scale, rel=0.1)
    whole = randomised_copy(model, names, seed=1)
    assert torch.equal(whole.get_parameter("3.weight"), changed.get_parameter("3.weight")), "steps build on each other"
    assert not torch.equal(whole.get_parameter("3.weight"), randomised_copy(model, names, 2).get_parameter("3.weight"))


def test_a_map_that_follows_the_image_is_stable() -> None:
    assert shift_stability(lambda x: edges(nn.Identity(), x), IMAGES) == pytest.approx([1] * 5, abs=0.01)


def test_a_map_that_stays_or_jumps_is_not() -> None:
    fixed = np.random.default_rng(0).random((5, 32, 32))
    assert all(value is not None and abs(value) < 0.2 for value in shift_stability(lambda x: fixed, IMAGES))
    smooth = np.stack([np.add.outer(np.arange(32.0), np.arange(32.0))] * 5)
    assert all(value is not None and value > 0.99 for value in shift_stability(lambda x: smooth, IMAGES))
    calls = []

    def vanishing(x: torch.Tensor) -> np.ndarray:
        calls.append(1)
        return edges(nn.Identity(), x) * (len(calls) != 3)

    assert shift_stability(vanishing, IMAGES) == [None] * 5
