"""Cells are drawn where their layer looks: by strides and padding, which is where gradients and blobs say, too."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from explain_support import TwoImages, blob_images
from torch import Tensor, nn

from trainables.catalog import ARCHITECTURES
from trainables.explain.cell_places import CellPlaces, evenly
from trainables.explain.class_grid import Tile, _maps_beside, grid_figure
from trainables.explain.display import display_maps
from trainables.explain.engine import Explanation, explain
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.layers import SpatialLayer, spatial_layer
from trainables.explain.localisation import is_blank, is_even, pointing_score, to_image_grid
from trainables.explain.panels import Panel, panel_figure
from trainables.explain.proof import FIGURES, ProofCase, ProofSettings, prove_image
from trainables.explain.sanity import randomisation_test
from trainables.explain.subject import Subject

SIDE_PX = 160


def layer_of(name: str, path: str, side_px: int = SIDE_PX) -> tuple[SpatialLayer, Subject]:
    torch.manual_seed(0)
    sized = {"img_size": side_px} if name.startswith(("vit", "swin")) else {}
    model = timm.create_model(name, num_classes=2, **sized).eval().requires_grad_(False)
    subject = Subject(model, (torch.rand(1, 3, side_px, side_px),))
    return spatial_layer(subject, path), subject


def seen_from_the_middle(layer: SpatialLayer, subject: Subject) -> np.ndarray:
    """Return by gradients where the middle cell looks at, down and across, in px."""
    outputs: list[Tensor] = []
    handle = layer.module.register_forward_hook(lambda *given: outputs.append(layer.to_BCHW(given[2])))
    image_1CHW = subject.image_1CHW.clone().requires_grad_()
    subject.model(image_1CHW)
    handle.remove()
    cell_C = outputs[0][0, :, layer.grid[0] // 2, layer.grid[1] // 2]
    weight_HW = torch.zeros(subject.image_hw)
    for _ in range(4):
        (gradient,) = torch.autograd.grad((cell_C * torch.randn_like(cell_C)).sum(), image_1CHW, retain_graph=True)
        weight_HW += gradient.square().sum(dim=(0, 1))
    places = torch.arange(subject.image_hw[0]).float()
    down, across = (float(weight_HW.sum(dim=1 - axis) @ places / weight_HW.sum()) for axis in (0, 1))
    return np.array([down, across])


@pytest.mark.parametrize(
    ("name", "path", "first_px", "step_px"),
    [
        ("resnet18", "layer3", 0, 16),
        ("resnetblur18", "layer3", 0, 16),
        ("regnety_002", "s3", 0, 16),
        ("convnext_atto", "stages.2", 7.5, 16),
        ("densenet121", "features.denseblock3", 6, 16),  # 0 after the stem, and transitions of 2 x 2 without padding
        ("poolformer_s12", "stages.2", 1, 16),
        ("tf_efficientnet_lite0", "blocks.3", 15, 16),  # TensorFlow pads below and on the right
        ("test_efficientnet", "blocks.3", 0, 16),
        ("vit_tiny_patch16_224", "", 7.5, 16),
        ("swin_tiny_patch4_window7_224", "", 15.5, 32),
    ],
)
def test_cells_lie_where_gradients_say(name: str, path: str, first_px: float, step_px: float) -> None:
    side_px = 224 if name.startswith("swin") else SIDE_PX
    layer, subject = layer_of(name, path, side_px)
    assert layer.places == CellPlaces((first_px, first_px), (step_px, step_px))
    expected = first_px + np.array(layer.grid) // 2 * step_px
    assert np.abs(seen_from_the_middle(layer, subject) - expected).max() < 0.15 * step_px


def test_of_a_shortcut_that_pools_and_a_convolution_the_mean_counts() -> None:
    layer, _ = layer_of("resnet18d", "layer3")
    assert layer.places.first_px == (3.0, 3.0), "0 by convolutions, 6 by shortcuts"


def test_a_side_that_no_stride_divides_keeps_its_strides() -> None:
    layer, _ = layer_of("resnet18", "layer3", 150)
    assert layer.grid == (10, 10) and layer.places == CellPlaces((0, 0), (16, 16)), "not 15"


def test_an_encoder_of_one_of_two_images_is_followed_alone() -> None:
    model = TwoImages(shared=False)
    model.ct.features[0] = nn.Conv2d(1, 4, 8, stride=8)  # otherwise than the other one's
    images = tuple(blob_images((2, 3), (4, 5)).split(1))
    found = explain(model, images, [1], Explainer("gradcam", "mr.features.1", image=1))
    assert found.places == evenly((8, 8), (32, 32))


class Strided(nn.Module):
    """Sees brightness through three convolutions of stride 2, padded as in a ResNet; bright -> class 1."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False) for _ in range(3)]
        self.features = nn.Sequential(*layers, nn.ReLU())
        self.head = nn.Linear(1, 2)
        for layer in layers:
            nn.init.constant_(layer.weight, 1 / 9)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW).mean(dim=(2, 3)))


def blob_at(row: int, column: int, side_px: int = 64) -> tuple[Tensor, np.ndarray]:
    y, x = np.mgrid[:side_px, :side_px]
    mask_HW = np.hypot(y - row, x - column) <= 4
    return torch.from_numpy(mask_HW.astype(np.float32))[None, None], mask_HW


@pytest.mark.parametrize("place", [(16, 40), (24, 24), (40, 16)])
def test_a_map_lies_over_what_it_is_of(place: tuple[int, int]) -> None:
    image_1CHW, mask_HW = blob_at(*place)
    found = explain(Strided(), image_1CHW, [1], Explainer("gradcam"))
    map_HW = found.on_image(0, (64, 64))
    assert np.argwhere(map_HW == map_HW.max()).mean(axis=0) == pytest.approx(place)
    assert pointing_score(map_HW, mask_HW) == 1
    drawn_evenly_HW = to_image_grid(found.maps_BHW[0], (64, 64))
    assert np.argwhere(drawn_evenly_HW == drawn_evenly_HW.max()).mean(axis=0) == pytest.approx(
        np.add(place, 3.5), abs=1
    )


def test_proof_lays_maps_and_random_controls_where_cells_lie() -> None:
    model, (image_1CHW, mask_HW) = Strided(), blob_at(24, 24)
    found = explain(model, image_1CHW, [1], Explainer("gradcam"))
    case = ProofCase(image="one", index=0, group="one", is_correct=True, class_index=1, mask_HW=mask_HW)
    settings = ProofSettings(tolerance_px=0, percentiles=(), steps=4)

    def predict(images_BCHW: Tensor) -> Tensor:
        return model(images_BCHW).softmax(dim=1).detach()

    laid, evenly_laid = (
        {
            row.source: row
            for row in prove_image(predict, image_1CHW[0], {"cam": found.maps_BHW[0]}, case, settings, lie)
        }
        for lie in ({"cam": found.places}, None)
    )
    assert laid["map"].energy_within > 1.2 * evenly_laid["map"].energy_within
    assert laid["random"] != evenly_laid["random"] and laid["centre"] == evenly_laid["centre"]


@pytest.mark.parametrize("spread", [0, 1.7e-8], ids=["constant", "last digits"])
def test_a_map_that_is_the_same_everywhere_stays_so_where_cells_reach_no_edge(spread: float) -> None:
    layer, _ = layer_of("resnet18", "layer3", 96)
    map_hw = np.full(layer.grid, 0.1, np.float32)
    map_hw[1, 2] += np.float32(spread)
    found = Explanation(map_hw[None], np.array([1]), np.zeros((1, 2)), "gradcam", "layer3", layer.places)
    assert (map_hw.max() > map_hw.min()) == (spread > 0)
    on_image_HW, image_HW = found.on_image(0, (96, 96)), np.zeros((96, 96), np.uint8)
    assert is_blank(map_hw) and is_blank(on_image_HW)
    assert (display_maps(map_hw[None], (96, 96)) == 1).all(), "noise is not stretched"
    record = ARCHITECTURES["baseline_cnn"]
    explained = Explained(record, nn.Identity(), image_HW[None, None])
    (beside_HW,) = _maps_beside(explained, {0: record.explainers[0]}, {record.explainers[0].name: found})
    tile = Tile(image_HW, beside_HW, 0, 0)
    for figure in (panel_figure(Panel([image_HW], {"CNN": on_image_HW}, "")), grid_figure([tile], ["one"], "")):
        assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["the same\neverywhere"]
    pair = Explained(record, nn.Identity(), np.stack([image_HW, image_HW])[None])
    maps = {name: replace(found, image=image) for image, name in enumerate(("CT", "MRI"))}
    of_each = {one.image: Explainer("gradcam", "layer3", name, image=one.image) for name, one in maps.items()}
    (both_HW,) = _maps_beside(pair, of_each, maps)
    assert both_HW.shape == (96, 192) and is_even(both_HW), "the tile of two images says the same"
    case = ProofCase(image="one", index=0, group="one", is_correct=True, class_index=0, mask_HW=image_HW == 0)
    settings, image_1HW = ProofSettings(percentiles=(), steps=2), torch.rand(1, 96, 96)
    even = {"cam": map_hw}, case, settings, {"cam": layer.places}
    own = prove_image(lambda x_BCHW: torch.full((len(x_BCHW), 2), 0.5), image_1HW, *even)[0]
    assert own.is_blank and {own.figure(name) for name in FIGURES} == {None}
    test = randomisation_test(lambda model: map_hw[None], nn.Identity(), image_1HW[None], 0, places=layer.places)
    assert test.passed is None and "no image has a map that points anywhere" in test.sentence


def test_evenly_is_what_image_libraries_do() -> None:
    map_hw = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    even = evenly((5, 7), (64, 42)).on_image(map_hw, (64, 42))
    assert even == pytest.approx(to_image_grid(map_hw, (64, 42)), abs=1e-5)


def test_an_outermost_cell_holds_for_half_a_cell_and_ends_after_a_whole_one() -> None:
    row_W = CellPlaces((0, 2), (1, 4)).on_image(np.array([[1.0, 3.0]]), (1, 12))[0]
    assert row_W == pytest.approx([1, 1, 1, 1.5, 2, 2.5, 3, 3, 3, 1.5, 0, 0])
