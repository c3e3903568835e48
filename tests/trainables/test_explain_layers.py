"""Which layer a name means: the last spatial one of each family, read the right way round, or a reason."""

import numpy as np
import pytest
import timm
import torch
import torchvision
from explain_support import BlobNet, TwoImages, small_model
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.errors import ExplanationError
from trainables.explain.engine import explain
from trainables.explain.explainers import Explainer
from trainables.explain.layers import spatial_layer
from trainables.explain.map_layout import layout_of
from trainables.explain.subject import Subject


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def subject(model: nn.Module, side_px: int = 64, channels: int = 3) -> Subject:
    return Subject(model.eval(), (torch.rand(1, channels, side_px, side_px),))


@pytest.mark.parametrize(
    ("name", "path", "layout", "grid"),
    [
        ("resnet18", "layer4", "BCHW", (2, 2)),
        ("test_convnext", "norm_pre", "BCHW", (2, 2)),
        ("test_efficientnet", "bn2", "BCHW", (2, 2)),
        ("densenet121", "features", "BCHW", (2, 2)),
        ("test_nfnet", "final_act", "BCHW", (2, 2)),
        ("test_vit", "blocks.5.norm1", "BNC", (4, 4)),
        ("test_vit2", "blocks.7.norm1", "BNC", (4, 4)),
        ("swin_tiny_patch4_window7_224", "norm", "BHWC", (2, 2)),
        ("test_mambaout", "stages", "BHWC", (2, 2)),
    ],
)
def test_a_backbone_s_name_is_its_last_spatial_layer(name: str, path: str, layout: str, grid: tuple[int, int]) -> None:
    sized = {"img_size": 64} if layout == "BNC" or name.startswith("swin") else {}
    model = timm.create_model(name, num_classes=2, **sized)
    wrapped = nn.Sequential(model)
    for given, where, prefix in ((model, "", ""), (wrapped, "", "0."), (wrapped, "0", "0."), (wrapped, "-1", "0.")):
        found = spatial_layer(subject(given), where)
        assert (found.path, found.layout, found.grid) == (prefix + path, layout, grid)
    features = model.forward_features(torch.rand(1, 3, 64, 64))
    if layout != "BNC":
        assert found.to_BCHW(features).shape[2:] == grid
        assert found.to_BCHW(features).shape[1] == model.num_features
        assert name != "resnet18" or (features >= 0).all(), "after the activation"


def test_a_layer_before_an_in_place_activation_keeps_its_own_values() -> None:
    x_BCHW = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
    before, after = Explainer("gradcam", "features.0"), Explainer("gradcam", "features.1")
    in_place, plain = (explain(BlobNet(inplace=one), x_BCHW, [1], before).maps_BHW for one in (True, False))
    assert np.array_equal(in_place, plain)
    assert not np.allclose(in_place, explain(BlobNet(), x_BCHW, [1], after).maps_BHW)


def test_tokens_are_laid_out_by_the_model_s_own_grid_and_prefix() -> None:
    vit = timm.create_model("vit_small_patch14_reg4_dinov2", img_size=(42, 70), num_classes=2, depth=1)
    found = spatial_layer(Subject(vit.eval(), (torch.rand(1, 3, 42, 70),)), "")
    assert (found.grid, found.num_prefix) == ((3, 5), 5)
    tokens_1NC = torch.arange(20.0)[None, :, None].repeat(1, 1, 2)
    assert found.to_BCHW(tokens_1NC)[0, 0].tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14], [15, 16, 17, 18, 19]]


@pytest.mark.parametrize("layer", ["blocks.-1", "blocks.-1.norm2", "norm"])
@pytest.mark.parametrize("method", ["gradcam", "eigencam", "scorecam"])
def test_behind_the_last_attention_a_class_token_tells_nothing_of_patches(layer: str, method: str) -> None:
    x_BCHW = torch.rand(1, 3, 64, 64)
    by_token = timm.create_model("test_vit", img_size=64, num_classes=2)
    with pytest.raises(ExplanationError, match="no patch reaches it from here on; name the last block's norm1"):
        explain(by_token, x_BCHW, [1], Explainer(method, layer))
    by_mean = timm.create_model("test_vit2", img_size=64, num_classes=2)
    assert explain(by_mean, x_BCHW, [1], Explainer(method, layer)).grid == (4, 4)


def test_a_plain_cnn_s_layer_is_its_last_activation() -> None:
    found = spatial_layer(subject(small_model("baseline_cnn", image_px=64), channels=1), "")
    assert (found.path, found.grid) == ("features.5", (32, 32))
    assert spatial_layer(subject(BlobNet(), 32, 1), "").path == "features.1"


class Gated(BlobNet):
    """Its last activation is a spatial gate: one number a place, by which all features are weighed."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Conv2d(self.features[0].out_channels, 1, 3, padding=1), nn.Sigmoid())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        maps_BCHW = self.features(x_BCHW)
        return self.head((maps_BCHW * self.gate(maps_BCHW)).mean(dim=(2, 3)))


def test_a_gate_is_no_layer_of_features() -> None:
    assert spatial_layer(subject(Gated(), 32, 1), "").path == "features.1"


@pytest.mark.parametrize(
    ("name", "path"), [("resnet18", "layer4.1"), ("mobilenet_v2", "features.18.2"), ("convnext_tiny", "features")]
)
def test_torchvision_s_models_are_found_by_watching(name: str, path: str) -> None:
    assert spatial_layer(subject(getattr(torchvision.models, name)()), "").path == path


class Functional(BlobNet):
    """Its activation is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.features = self.features[0]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(F.relu(self.features(x_BCHW)).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("model", "layer", "words"),
    [
        (lambda: small_model(image_px=64), "", "has the backbones cnn and vit: name one as the layer"),
        (lambda: small_model(image_px=64), "cnm", "no layer 'cnm': the model has no 'cnm', but cnn, vit"),
        (lambda: small_model(image_px=64), "cnn.layer4.7", "cnn.layer4 has no '7', but 0"),
        (lambda: small_model(image_px=64), "cnn.layer4.-9", "cnn.layer4 has no '-9'"),
        (lambda: small_model(image_px=64), "head", r"head: its output \(1, 3\) is no grid of the image"),
        (lambda: small_model(image_px=64), "vit.blocks.0.attn.qkv.weight", "no 'weight'"),
        (lambda: small_model(image_px=64), "vit.blocks.0.attn.qkv", None),
        (lambda: small_model(image_px=32), "cnn", "its map of a 32 px image is one cell, which shows no place"),
        (Functional, "", "the last map, of features, is one before its activation, which is no module"),
        (lambda: torchvision.models.DenseNet(8, (1, 1)), "", "of features.norm5, is one before its activation"),
        (
            lambda: torchvision.models.VisionTransformer(64, 16, 1, 2, 8, 16),
            "",
            "works on tokens and is no ViT of timm",
        ),
        (lambda: timm.create_model("swin_tiny_patch4_window7_224", img_size=64), "layers.0.blocks.0.attn", "windows"),
        (lambda: timm.create_model("hiera_tiny_224"), "blocks.3", "Hiera's tokens are in no order of rows"),
        (lambda: timm.create_model("xcit_nano_12_p16_224", img_size=64), "", "is no grid of the image"),
        (lambda: timm.create_model("coat_tiny", img_size=64), "", "its last features are the output of no module"),
    ],
)
def test_a_layer_that_is_no_map_is_an_error_with_the_way_out(model: object, layer: str, words: str | None) -> None:
    built = model()
    side_px = 224 if layer == "blocks.3" else 32 if words and "32 px" in words else 64
    channels = 1 if isinstance(built, Functional) or hasattr(built, "cnn") else 3
    if words is None:
        assert spatial_layer(subject(built, side_px, channels), layer).layout == "BNC"
        return
    with pytest.raises(ExplanationError, match=words) as caught:
        spatial_layer(subject(built, side_px, channels), layer)
    assert "\n" not in str(caught.value)


def test_a_layer_that_runs_twice_is_refused() -> None:
    class Twice(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return super().forward(x_BCHW) + super().forward(x_BCHW.flip(3))

    with pytest.raises(ExplanationError, match="runs 2 times for one image"):
        explain(Twice(), torch.rand(1, 1, 32, 32), [1], Explainer("gradcam", "features.1"))
    with pytest.raises(ExplanationError, match=r"the last activation, .* runs several times"):
        pair = (torch.rand(1, 1, 32, 32),) * 2
        explain(TwoImages(True), pair, [1], Explainer("gradcam", ""))


@pytest.mark.parametrize(
    ("shape", "image_hw", "expected"),
    [
        ((1, 512, 7, 7), (224, 224), ("BCHW", (7, 7))),
        ((1, 7, 7, 768), (224, 224), ("BHWC", (7, 7))),
        ((1, 64, 7, 9), (220, 280), ("BCHW", (7, 9))),
        ((1, 7, 9, 64), (220, 280), ("BHWC", (7, 9))),
        ((1, 8, 8, 8), (64, 64), ("BCHW", (8, 8))),
        ((1, 49, 64), (224, 224), ("BNC", (7, 7))),
        ((1, 6, 64), (20, 30), ("BNC", (2, 3))),
        ((1, 50, 64), (224, 224), None),
        ((1, 64, 5, 9), (224, 224), None),
        ((1, 10), (224, 224), None),
    ],
)
def test_axes_are_told_by_the_image_s_proportions(shape: tuple, image_hw: tuple, expected: tuple | None) -> None:
    assert layout_of(shape, image_hw) == expected
