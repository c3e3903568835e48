"""Raw values are right: against the library's own maps, formulas written out, and models whose answer is known."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from explain_support import BlobNet, blob_images, small_model
from pytorch_grad_cam import ScoreCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.errors import ExplanationError, OneCell
from trainables.explain.cams import _EIGEN, _FORMULAS
from trainables.explain.capture import layer_pass
from trainables.explain.channel_weights import CHANNELS_AT_ONCE, scorecam_weights_C
from trainables.explain.display import display_maps
from trainables.explain.engine import explain
from trainables.explain.explainers import METHODS, Explainer, method_named
from trainables.explain.layers import spatial_layer
from trainables.explain.occlusion import occlusion_map
from trainables.explain.subject import Subject

POINTING = [name for name in METHODS if METHODS[name].family == "cam" and name != "randomcam"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def noise() -> Tensor:
    return torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", ["eigengradcam", "segeigencam"])
def test_what_speaks_for_one_of_two_classes_does_not_speak_for_the_other(noise: Tensor, method: str) -> None:
    model = BlobNet()
    with torch.no_grad():
        model.head.weight[0] = -model.head.weight[1]
    maps = [explain(model, noise, [k, k], Explainer(method, "features")).maps_BHW for k in (0, 1)]
    assert not ((maps[0] > 0) & (maps[1] > 0)).any(), "a component's sign is arbitrary, the class decides it"
    assert maps[0].any() or maps[1].any()


def test_gradcam_is_the_head_s_weights_times_the_maps(noise: Tensor) -> None:
    model = BlobNet()
    maps_BCHW = model.features(noise).detach()
    by_hand = (
        torch.einsum("c,bchw->bhw", model.head.weight[1].detach(), maps_BCHW).clamp(min=0) / 64
    )  # the mean of 8 x 8
    for method in ("gradcam", "hirescam", "xgradcam", "shapleycam"):
        found = explain(BlobNet(), noise, [1, 1], Explainer(method))
        scale = found.maps_BHW.max() / by_hand.max().item()
        assert found.maps_BHW / scale == pytest.approx(by_hand.numpy(), rel=1e-4, abs=1e-6)
        assert (scale == pytest.approx(1, rel=1e-4)) or method == "xgradcam"


@pytest.mark.parametrize("method", POINTING)
@pytest.mark.parametrize("corner", [(2, 5), (6, 1)])
def test_where_the_blob_goes_the_peak_goes(method: str, corner: tuple[int, int]) -> None:
    found = explain(BlobNet(), blob_images(corner), [1], Explainer(method))
    assert np.unravel_index(found.maps_BHW[0].argmax(), found.grid) == corner
    assert not found.no_positive_evidence_B[0]


def test_where_the_blob_goes_the_occlusion_goes() -> None:
    for row, column in ((2, 5), (6, 1)):
        found = explain(BlobNet(), blob_images((row, column)), [1], Explainer("occlusion"))
        assert np.unravel_index(found.maps_BHW[0].argmax(), found.grid) == (row, column), "its cells are as large"


@pytest.mark.parametrize("method", [name for name in _FORMULAS if name not in ("finercam", "shapleycam")])
@pytest.mark.parametrize("layer", ["cnn.layer2", "vit"])
def test_a_raw_map_scaled_is_the_library_s(method: str, layer: str) -> None:
    model = small_model(image_px=64).eval()
    x_BCHW = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    found = explain(model, x_BCHW, [0, 2], Explainer(method, layer))
    subject = Subject(model, (x_BCHW[:1],))
    module, to_BCHW = spatial_layer(subject, layer).module, spatial_layer(subject, layer).to_BCHW
    with _FORMULAS[method](model, [module], to_BCHW) as library:
        theirs = library(x_BCHW, [ClassifierOutputTarget(0), ClassifierOutputTarget(2)])
        turned = library.get_cam_image(
            x_BCHW, module, [], library.activations_and_grads.activations[0].numpy(), *_grads(library)
        )
    ours = scale_cam_image(scale_cam_image(found.maps_BHW, (64, 64)))
    for number in range(2):
        expected = [theirs[number]]
        if method in _EIGEN:  # the library shows what is left of an arbitrary sign
            expected = [scale_cam_image(scale_cam_image(np.maximum(s * turned, 0), (64, 64)))[number] for s in (1, -1)]
        assert any(ours[number] == pytest.approx(one, abs=2e-3) for one in expected)


def _grads(library: object) -> Iterator[object]:
    gradients = library.activations_and_grads.gradients
    yield gradients[0].numpy() if gradients else None
    yield False


def test_scorecam_s_weights_are_the_library_s(noise: Tensor) -> None:
    model = small_model(image_px=64).eval()
    x_BCHW = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    subject = Subject(model, (x_BCHW,))
    layer = spatial_layer(subject, "cnn.layer2")
    seen = layer_pass(subject, layer, lambda logits_BK: logits_BK[:, 1])
    ours = scorecam_weights_C(subject, layer, seen, 1)
    library = ScoreCAM(model, [layer.module])
    targets = [ClassifierOutputTarget(1)]
    theirs = library.get_cam_weights(x_BCHW, layer.module, targets, seen.activations.numpy(), None)
    assert ours.numpy() == pytest.approx(theirs[0], rel=1e-5)


class LargestTensor(TorchDispatchMode):
    """Watches how large tensors become."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        if isinstance(given, Tensor):
            self.numbers = max(self.numbers, given.numel())
        return given


class WideNet(nn.Module):
    """A last layer of many channels, as large networks have."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, num_channels, 8, stride=8), nn.ReLU())
        self.head = nn.Linear(num_channels, 2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW).mean(dim=(2, 3)))


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_memory_does_not_grow_with_the_number_of_channels_squared(method: str) -> None:
    num_channels, side_px, cells = 512, 64, 64
    with LargestTensor() as watch:
        explain(WideNet(num_channels), torch.rand(1, 1, side_px, side_px), [1], Explainer(method))
    of_the_library = num_channels * max(side_px**2, num_channels * cells)
    bound = CHANNELS_AT_ONCE * max(side_px**2, num_channels * cells)
    assert watch.numbers <= bound
    assert bound * 30 < of_the_library


def test_ablation_is_the_drop_without_the_channel() -> None:
    model, x_BCHW = BlobNet(), torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(3)) - 0.4
    maps_1CHW = model.features(x_BCHW).detach()
    drops_C = model.head.weight[1].detach() * maps_1CHW.mean(dim=(0, 2, 3))  # what each channel gave to the logit
    found = explain(model, x_BCHW, [1], Explainer("ablationcam"))
    by_hand = torch.einsum("c,chw->hw", drops_C, maps_1CHW[0]).clamp(min=0)
    assert found.maps_BHW[0] == pytest.approx(by_hand.numpy(), abs=1e-5)


def test_ablation_leaves_a_map_upright_where_the_logit_is_negative() -> None:
    model = BlobNet()
    with torch.no_grad():
        model.head.bias.fill_(-50)
    found = explain(model, blob_images((2, 5)), [1], Explainer("ablationcam"))
    assert found.logits_BK[0, 1] < 0
    assert np.unravel_index(found.maps_BHW[0].argmax(), found.grid) == (2, 5)


def test_finercam_explains_the_difference_to_the_nearest_classes(noise: Tensor) -> None:
    two = explain(BlobNet(), noise, [1, 1], Explainer("finercam")).maps_BHW
    plain = explain(BlobNet(), noise, [1, 1], Explainer("gradcam")).maps_BHW
    assert two == pytest.approx(2 * plain, rel=1e-4), "class 0 is the negative of class 1"
    with pytest.raises(ExplanationError, match="finercam compares classes, and the model has one logit"):
        explain(BlobNet(1), noise, [1, 1], Explainer("finercam"))


def test_finercam_weighs_the_three_nearest_of_many_classes(noise: Tensor) -> None:
    model = BlobNet()
    model.head = nn.Linear(4, 5)
    with torch.no_grad():
        model.head.weight.copy_(
            torch.tensor([[9.0, 1, -3, 2], [8, 4, -4, 1], [7, 5, -2, 0], [6, 2, -5, 3], [-9, 0, 9, 9]])
        )
    found = explain(model, noise[:1], [1], Explainer("finercam"))
    logits_K, maps_CHW = found.logits_BK[0].astype(float), model.features(noise[:1]).detach()[0]
    nearest = [0, 2, 3]
    assert max(abs(logits_K[nearest] - logits_K[1])) < abs(logits_K[4] - logits_K[1])
    share_3 = np.exp(logits_K[nearest]) / np.exp(logits_K[nearest]).sum()
    gap_3 = logits_K[1] - logits_K[nearest]
    slope_K = np.zeros(5)  # of sum(share * gap), written out
    slope_K[1], slope_K[nearest] = 1, share_3 * (gap_3 - share_3 @ gap_3) - share_3
    weights_C = torch.from_numpy(slope_K).float() @ model.head.weight.detach() / 64
    by_hand = torch.einsum("c,chw->hw", weights_C, maps_CHW).clamp(min=0)
    assert found.maps_BHW[0].max() > 0
    assert found.maps_BHW[0] == pytest.approx(by_hand.numpy(), rel=1e-3, abs=1e-6)


def test_shapleycam_takes_half_of_the_curvature_off_where_the_answer_bends(noise: Tensor) -> None:
    class Bent(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return self.head(torch.tanh(self.features(x_BCHW)).mean(dim=(2, 3)))

    model = Bent()
    maps_CHW = model.features(noise[:1]).detach()[0]
    tanh_CHW = torch.tanh(maps_CHW)
    slope_CHW = model.head.weight[1].detach()[:, None, None] * (1 - tanh_CHW**2) / 64
    bend_CHW = -2 * tanh_CHW * slope_CHW * maps_CHW  # the Hessian, which is diagonal, times the maps
    weights_C = (slope_CHW - bend_CHW / 2).mean(dim=(1, 2))
    by_hand = torch.einsum("c,chw->hw", weights_C, maps_CHW).clamp(min=0)
    found = explain(model, noise[:1], [1], Explainer("shapleycam", "features.1")).maps_BHW[0]
    assert found == pytest.approx(by_hand.numpy(), rel=1e-3, abs=1e-7)
    plain = explain(model, noise[:1], [1], Explainer("gradcam", "features.1")).maps_BHW[0]
    assert float(np.abs(found - plain).max()) > 0.05 * plain.max(), "off a pooled linear head they differ"


def test_a_large_map_is_not_decomposed() -> None:
    class Fine(BlobNet):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())

    for method in _EIGEN:
        with pytest.raises(ExplanationError, match="square of 65 x 65 cells, and at most 4096 cells"):
            explain(Fine(), torch.rand(1, 1, 65, 65), [1], Explainer(method))


def test_a_solver_that_starts_at_random_ends_at_the_same_map() -> None:
    x_BCHW = torch.rand(1, 1, 80, 80, generator=torch.Generator().manual_seed(3))
    maps = []
    for seed in (1, 2):  # of the caller's draws; above 200 cells kernel PCA starts from NumPy's
        np.random.seed(seed)
        maps.append(explain(BlobNet(), x_BCHW, [1], Explainer("kpcacam")).maps_BHW)
    assert np.array_equal(*maps)


@pytest.mark.parametrize("method", ["eigencam", "kpcacam", "eigengradcam", "segeigencam"])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_component_of_what_is_no_number_is_refused(method: str, broken: float) -> None:
    class ForgivesNumbers(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return self.head(torch.nan_to_num(self.features(x_BCHW), posinf=0).mean(dim=(2, 3)))

    model = ForgivesNumbers()
    with torch.no_grad():
        model.features[0].bias[3] = broken
    with pytest.raises(ExplanationError, match=f"{method} at layer features: it holds values that are no numbers"):
        explain(model, blob_images((2, 5)), [1], Explainer(method, "features"))


@pytest.mark.parametrize("method", ["eigencam", "kpcacam", "eigengradcam", "segeigencam"])
@pytest.mark.parametrize("grey", [0.0, 0.5])
def test_an_image_that_is_the_same_everywhere_has_no_component(method: str, grey: float) -> None:
    found = explain(BlobNet(), torch.full((1, 1, 32, 32), grey), [1], Explainer(method))
    assert found.no_positive_evidence_B.tolist() == [True]


def test_an_image_of_one_cell_shows_no_place() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(49, 2))
    with pytest.raises(OneCell, match="occlusion hides cells of 4 px, and an image of 7 x 7 px has one"):
        explain(model, torch.rand(1, 1, 7, 7), [1], Explainer("occlusion"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"method": None}, "method is a NoneType: expected its name"),
        ({"layer": BlobNet().features[0]}, "layer is a Conv2d: expected its path in the model as text"),
        ({"layer": ["features"]}, "layer is a list"),
        ({"layer": "features.--1"}, "features has no '--1', but 0, 1"),
    ],
)
def test_what_is_no_name_is_refused(asked: dict, words: str) -> None:
    with pytest.raises(ExplanationError, match=words):
        explain(BlobNet(), blob_images((1, 1)), [1], Explainer(**({"method": "gradcam"} | asked)))


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("GradCAM", "gradcam"), ("Grad-CAM++", "gradcam++"), ("grad_cam_plus_plus", "gradcam++"), ("KPCA_CAM", "kpcacam")],
)
def test_a_method_s_spelling_is_free(spelling: str, name: str) -> None:
    assert method_named(spelling) == name


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("gradcma", "no method 'gradcma'; did you mean gradcam"),
        ("attention rolout", "did you mean crossattention or rollout"),
        ("xyz", "no method 'xyz'. Known: auto, gradcam"),
        ("FullGrad", "is not built: it adds maps that are scaled"),
        ("LRP", "not built: the form of Chefer"),
        ("GuidedBackpropReLUModel", "not built: its maps hardly change"),
        ("DeepFeatureFactorization", "not built: it factorises"),
        ("aug_smooth", "not built: it averages maps"),
        ("eigen_smooth", "not built: it takes a principal component"),
    ],
)
def test_another_name_is_told_with_the_nearest_or_the_reason(spelling: str, words: str) -> None:
    with pytest.raises(ExplanationError, match=words):
        explain(BlobNet(), blob_images((1, 1)), [1], Explainer(spelling))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"discard_fraction": 1.5}, "discard_fraction=1.5: must be at least 0 and below 1"),
        ({"discard_fraction": float("nan")}, "discard_fraction=nan: must be at least 0 and below 1"),
        ({"head_fusion": "median"}, "head_fusion='median': expected mean, max, min"),
    ],
)
def test_a_setting_of_rollout_that_there_is_not_is_refused(setting: dict, words: str) -> None:
    with pytest.raises(ExplanationError, match=words):
        Explainer("rollout", **setting)


def test_what_a_method_cannot_do_at_a_layer_is_refused() -> None:
    model, x_BCHW = small_model(image_px=64), torch.rand(1, 1, 64, 64)
    with pytest.raises(ExplanationError, match=r"shapleycam at layer vit.blocks.5.norm1: it needs a second derivative"):
        explain(model, x_BCHW, [1], Explainer("shapleycam", "vit"))
    with pytest.raises(ExplanationError, match="none of 2 x 2 cells"):
        explain(model, x_BCHW, [1], Explainer("fem", "cnn"))
    with pytest.raises(ExplanationError, match="leave the layer 'cnn' out"):
        explain(model, x_BCHW, [1], Explainer("occlusion", "cnn"))


def test_an_occluded_cell_drops_by_what_was_there() -> None:
    weights_HW = torch.zeros(16, 16)
    weights_HW[4:8, 8:12] = 1  # one of 4 x 4 cells

    def score(x_BCHW: Tensor) -> Tensor:
        return (x_BCHW[:, 0] * weights_HW).sum(dim=(1, 2))

    image_1CHW = torch.zeros(1, 1, 16, 16)
    image_1CHW[:, :, 4:8, 8:12] = 2
    drops_HW = occlusion_map(score, image_1CHW, margin_cells=0)
    expected_HW = np.zeros((4, 4))
    expected_HW[1, 2] = 16 * (2 - 2 / 16)  # hidden by the mean of the image
    assert drops_HW == pytest.approx(expected_HW, abs=1e-5)
    assert occlusion_map(score, image_1CHW)[1, 2] == drops_HW.max()


def test_what_is_drawn_is_scaled_and_what_is_nothing_stays_nothing() -> None:
    maps_BHW = np.zeros((4, 2, 2), np.float32)
    maps_BHW[1] = [[0.001, 0.002], [0.003, 0.005]]
    maps_BHW[2] = -3
    maps_BHW[3] = 7
    shown = display_maps(maps_BHW, (8, 6))
    assert shown.shape == (4, 8, 6)
    assert shown.dtype == np.float32
    assert (shown[0] == 0).all() and (shown[2] == 0).all()
    assert (shown[1].min(), shown[1].max()) == (0, 1)
    assert (shown[3] == 1).all()
    narrowed = display_maps(maps_BHW, (8, 6), [1, 1.5, 1, 1])
    assert narrowed[1] == pytest.approx(shown[1] ** 1.5)
    for wrong in ({"exponents_B": [1, 2]}, {"exponents_B": [0, 1, 1, 1]}):
        with pytest.raises(ValueError, match="expected one above 0 for each of 4 maps"):
            display_maps(maps_BHW, (8, 6), **wrong)
    with pytest.raises(ValueError, match="finite"):
        display_maps(maps_BHW + np.nan, (8, 6))
