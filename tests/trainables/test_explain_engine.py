"""What every explanation owes: the model untouched, the same map however it is asked, an error instead of nonsense."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from builders_support import one_per_builder
from explain_support import BlobNet, TwoImages, blob_images, small_model, state_of
from torch import Tensor, nn

from trainables.catalog import architecture
from trainables.errors import ExplanationError
from trainables.explain.engine import Explanation, explain
from trainables.explain.explainers import METHODS, Explainer

IN_A_PROCESS = """
import sys
import torch
from builders_support import one_per_builder
from explain_support import small_model
from trainables.explain.engine import explain
from trainables.explain.explainers import Explainer
torch.set_num_threads(1)
images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
for method, layer in (("gradcam", "cnn.layer3"), ("kpcacam", "cnn.layer3"), ("relevance", "vit")):
    print(explain(small_model(image_px=64), images, [0, 2], Explainer(method, layer)).maps_BHW.tobytes().hex())
"""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return small_model(image_px=64)


def images(num_images: int) -> Tensor:
    return torch.rand(num_images, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def fitting(method: str) -> Explainer:
    return Explainer(method, {"cam": "cnn.layer3", "attention": "vit", "occlusion": ""}[METHODS[method].family])


def gradcam(model: nn.Module, x_BCHW: Tensor, targets: list[int] | Tensor) -> Explanation:
    return explain(model, x_BCHW, targets, Explainer("gradcam", "cnn.layer3"))


NOT_HERE = ("gate", "crossattention", "crossrelevance")  # this model has none


@pytest.mark.parametrize("method", [name for name in METHODS if name not in NOT_HERE])
def test_the_model_is_as_before_and_a_map_does_not_depend_on_its_batch(method: str, model: nn.Module) -> None:
    model.train()
    model.cnn.bn1.eval()
    model.cnn.layer1[0].conv1.weight.requires_grad_(False)
    model.head[0].weight.grad = torch.ones_like(model.head[0].weight)
    heard: list[Tensor] = []
    handle = model.cnn.layer1.register_forward_hook(lambda module, given, output: heard.append(output))
    before = state_of(model)
    drawn = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    together = explain(model, images(3), [1, 0, 0], fitting(method))
    again = explain(model, images(3)[1:2], torch.tensor([0]), fitting(method))

    assert state_of(model) == before
    assert drawn == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    handle.remove()
    assert together.maps_BHW.dtype == np.float32
    assert np.isfinite(together.maps_BHW).all()
    assert together.maps_BHW.shape == (3, *together.grid)
    assert np.array_equal(together.maps_BHW[1], again.maps_BHW[0]), "to the bit"
    assert not np.array_equal(together.maps_BHW[1], together.maps_BHW[2]), "of different images"
    assert together.method == method


class FailsLater(nn.Module):
    def __init__(self, inner: nn.Module, passes: list[int]) -> None:
        super().__init__()
        self.inner = inner
        self.passes = lambda: passes  # a function, so that copies count together

    def forward(self, x_BCHW: Tensor) -> Tensor:
        self.passes().append(1)
        if len(self.passes()) > 4:
            raise RuntimeError("no more")
        return self.inner(x_BCHW)


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam", "relevance", "occlusion", "kpcacam"])
def test_the_model_is_as_before_when_explaining_breaks_midway(method: str) -> None:
    broken = FailsLater(small_model(image_px=64).train(), [])
    before, drawn = state_of(broken), torch.get_rng_state()
    layer = {"cam": "inner.cnn.layer3", "attention": "inner.vit", "occlusion": ""}[METHODS[method].family]
    with pytest.raises(RuntimeError, match="no more"), torch.no_grad():
        explain(broken, images(3), [0, 0, 0], Explainer(method, layer))
    assert state_of(broken) == before
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.is_grad_enabled()


def test_two_processes_and_four_threads_give_the_same_maps(model: nn.Module) -> None:
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(root / 'tests/support')!r}, {str(root)!r}]\n{IN_A_PROCESS}"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    asked = [("gradcam", "cnn.layer3"), ("kpcacam", "cnn.layer3"), ("relevance", "vit")]
    fresh = small_model(image_px=64)
    here = [explain(fresh, images(2), [0, 2], Explainer(*one)).maps_BHW for one in asked]

    def one_image(number: int) -> np.ndarray:
        torch.set_num_threads(1)
        x_BCHW = images(2)[number % 2 : number % 2 + 1]
        return explain(fresh, x_BCHW, [2 * (number % 2)], Explainer(*asked[0])).maps_BHW[0]

    with ThreadPoolExecutor(4) as pool:
        for number, map_HW in enumerate(pool.map(one_image, range(12))):
            assert np.array_equal(map_HW, here[0][number % 2])
    other, _ = started.communicate(timeout=120)
    assert other.split() == [maps_BHW.tobytes().hex() for maps_BHW in here]


def test_random_state_is_the_callers_after_calls_from_many_threads() -> None:
    def states() -> tuple[object, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    model, image_1CHW = BlobNet(), blob_images((1, 1))
    before, switched_s = states(), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: explain(model, image_1CHW, [1], Explainer("gradcam")), range(16)))
    finally:
        sys.setswitchinterval(switched_s)
    assert states() == before


def test_it_does_not_matter_in_what_state_model_and_caller_are(model: nn.Module) -> None:
    x_BCHW, plain = images(1), gradcam(small_model(image_px=64).eval(), images(1), [0]).maps_BHW
    assert plain.max() > 0
    with torch.no_grad():
        assert np.array_equal(plain, gradcam(small_model(image_px=64), x_BCHW, [0]).maps_BHW)
    with torch.inference_mode():
        born_there = small_model(image_px=64)
        assert np.array_equal(plain, gradcam(born_there, x_BCHW.clone(), [0]).maps_BHW)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert np.array_equal(plain, gradcam(small_model(image_px=64), x_BCHW, [0]).maps_BHW)
    frozen = small_model(image_px=64).requires_grad_(False)
    assert np.array_equal(plain, gradcam(frozen, x_BCHW, [0]).maps_BHW)
    partly = small_model(image_px=64)
    partly.cnn.requires_grad_(False)
    assert np.array_equal(plain, gradcam(partly, x_BCHW, [0]).maps_BHW)
    whole, half = BlobNet(), BlobNet().bfloat16()
    blob = blob_images((2, 5)), [1], Explainer("gradcam")
    assert explain(half, *blob).maps_BHW == pytest.approx(explain(whole, *blob).maps_BHW, rel=0.01)


def test_a_compiled_model_is_explained_as_the_module_that_it_was_made_from() -> None:
    plain = gradcam(small_model(image_px=64), images(1), [0]).maps_BHW
    whole = torch.compile(small_model(image_px=64).eval(), backend="eager")  # needs no compiler of C++
    whole(images(2))
    assert np.array_equal(plain, gradcam(whole, images(1), [0]).maps_BHW)
    part = small_model(image_px=64)
    part.cnn = torch.compile(part.cnn, backend="eager")
    assert np.array_equal(plain, gradcam(part, images(1), [0]).maps_BHW)
    assert hasattr(part.cnn, "_orig_mod"), "still compiled"


def test_a_model_may_keep_what_a_pass_gave_it() -> None:
    class Keeps(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            self.seen_BCHW = self.features(x_BCHW)
            self.all_seen = {"doubled": 2 * self.seen_BCHW}
            return self.head(self.seen_BCHW.mean(dim=(2, 3)))

    keeps, blob = Keeps(), blob_images((2, 5))
    nn.utils.weight_norm(keeps.head)  # keeps the weight that it computed
    keeps(blob)
    kept, before = keeps.seen_BCHW, state_of(keeps)
    found = explain(keeps, blob, [1], Explainer("gradcam"))
    assert np.unravel_index(found.maps_BHW[0].argmax(), found.grid) == (2, 5)
    assert keeps.seen_BCHW is kept and kept.requires_grad and state_of(keeps) == before


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam", "occlusion"])
def test_a_model_may_change_what_it_is_given_in_place(method: str) -> None:
    class Scales(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return super().forward(x_BCHW.mul_(2) if self.in_place else 2 * x_BCHW)

    maps = []
    for in_place in (False, True):
        scales, blob = Scales(), blob_images((2, 5))
        scales.in_place = in_place
        maps.append(explain(scales, blob, [1], Explainer(method)).maps_BHW)
        assert torch.equal(blob, blob_images((2, 5)))
    assert np.array_equal(*maps) and maps[0].max() > 0


@pytest.mark.parametrize("method", ["gradcam", "relevance", "rollout"])
def test_numbers_may_be_float64_by_default(method: str, model: nn.Module) -> None:
    x_BCHW = images(1)
    expected = explain(model, x_BCHW, [1], fitting(method)).maps_BHW
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(explain(model, x_BCHW, [1], fitting(method)).maps_BHW, expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_autocast_within_the_model_gives_finite_maps() -> None:
    class InBfloat16(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().forward(x_BCHW)

    for method in ("gradcam", "scorecam", "eigencam"):
        found = explain(InBfloat16(), blob_images((2, 5)), [1], Explainer(method))
        assert np.unravel_index(found.maps_BHW[0].argmax(), (8, 8)) == (2, 5)


def test_a_model_whose_backbone_runs_without_gradients_has_maps_all_the_same() -> None:
    class Detached(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            with torch.no_grad():
                maps_BCHW = self.features(x_BCHW)
            return self.head(maps_BCHW.mean(dim=(2, 3)))

    class WhollyDetached(BlobNet):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(x_BCHW)

    with pytest.raises(ExplanationError, match="no gradient comes back"):
        explain(WhollyDetached(), blob_images((2, 5)), [1], Explainer("gradcam"))
    with pytest.raises(ExplanationError, match="no gradient comes back"):
        explain(Detached(), blob_images((2, 5)), [1], Explainer("gradcam", "features"))


def test_the_logits_of_one_class_and_of_two_mean_the_same() -> None:
    x_BCHW = blob_images((1, 6), (5, 0))
    for method in ("gradcam", "gradcam++", "ablationcam", "occlusion"):
        two = explain(BlobNet(2), x_BCHW, [1, 0], Explainer(method))
        one = explain(BlobNet(1), x_BCHW, [1, 0], Explainer(method))
        assert one.maps_BHW == pytest.approx(two.maps_BHW)
        assert one.logits_BK.shape == (2, 1)
    with pytest.raises(ExplanationError, match="class 2 of a model with 2 classes"):
        explain(BlobNet(1), x_BCHW, [1, 2], Explainer("gradcam"))


def test_that_nothing_speaks_for_the_class_is_told() -> None:
    found = explain(BlobNet(), blob_images((3, 3), (3, 3)), [1, 0], Explainer("gradcam"))
    assert found.no_positive_evidence_B.tolist() == [False, True]
    assert (found.maps_BHW[1] == 0).all()
    assert found.targets_B.tolist() == [1, 0]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "scorecam", "ablationcam", "eigencam", "occlusion"])
def test_of_two_images_each_has_its_own_map(method: str, shared: bool) -> None:
    ct, mr = blob_images((1, 1), (6, 2)), blob_images((5, 5), (0, 7))
    for image, target, corners in ((0, 1, [(1, 1), (6, 2)]), (1, 0, [(5, 5), (0, 7)])):
        layer = "" if method == "occlusion" else "ct.features.1" if shared or image == 0 else "mr.features.1"
        found = explain(TwoImages(shared), (ct, mr), [target] * 2, Explainer(method, layer, image=image))
        # A square is in the middle of its cell, and occlusion has cells of its own.
        peaks = [np.unravel_index(map_HW.argmax(), map_HW.shape) for map_HW in found.maps_BHW]
        assert peaks == corners


def test_a_layer_of_the_other_image_is_refused() -> None:
    pair = blob_images((1, 1)), blob_images((5, 5))
    with pytest.raises(ExplanationError, match="nothing there depends on image 1"):
        explain(TwoImages(False), pair, [1], Explainer("gradcam", "ct.features.1", image=1))
    with pytest.raises(ExplanationError, match="image 2 of a case of 2: expected 0 to 1"):
        explain(TwoImages(False), pair, [1], Explainer("gradcam", "ct.features.1", image=2))


class Odd(nn.Module):
    """Gives what a model should not."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner, self.kind = BlobNet(), kind

    def forward(self, x_BCHW: Tensor) -> object:
        logits_BK = self.inner(x_BCHW)
        kinds = {"dict": {"logits": logits_BK}, "squeezed": logits_BK[:, 0], "nan": logits_BK * float("nan")}
        kinds |= {"none": logits_BK[:, :0]}
        return kinds[self.kind]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((BlobNet(), blob_images((1, 1)), [2]), "class 2 of a model with 2 classes: expected 0 to 1"),
        ((BlobNet(), blob_images((1, 1)), [-1]), "class -1"),
        (
            (BlobNet(), blob_images((1, 1)), [1, 1]),
            r"targets are int64 of shape \(2,\): expected a class index for each",
        ),
        ((BlobNet(), blob_images((1, 1)), [1.0]), "targets are float32"),
        ((BlobNet(), blob_images((1, 1)), ["stroke"]), "targets are no numbers .*expected a class index for each of 1"),
        ((BlobNet(), blob_images((1, 1)), None), "targets are no numbers"),
        ((BlobNet(), blob_images((1, 1)), [2**70]), "targets are no numbers"),
        ((BlobNet(), None, [1]), "images must be a tensor"),
        ((BlobNet(), blob_images((1, 1)).numpy(), [1]), "images must be a tensor"),
        ((lambda x_BCHW: x_BCHW, blob_images((1, 1)), [1]), "the model is a function: expected an nn.Module"),
        ((BlobNet, blob_images((1, 1)), [1]), "the model is a type: expected an nn.Module"),
        ((BlobNet().to("meta"), blob_images((1, 1)), [1]), "has shapes and no values"),
        ((BlobNet(), blob_images((1, 1))[0], [1]), r"float32 of shape \(1, 32, 32\): expected floats \[B, C, H, W\]"),
        ((BlobNet(), blob_images((1, 1)).byte(), [1]), "images are uint8"),
        ((BlobNet(), blob_images((1, 1)) / 0, [1]), "NaN or infinite"),
        ((BlobNet(), blob_images((1, 1)).repeat(1, 3, 1, 1), [1]), r"cannot take images of shape \(1, 3, 32, 32\)"),
        ((BlobNet(), (blob_images((1, 1)),) * 2, [1]), "cannot take images of shape .*, .*positional"),
        ((BlobNet(), blob_images((1, 1)).to("meta"), [1]), "without values: expected floats"),
        ((BlobNet(), blob_images((1, 1)).to_sparse(), [1]), r"\(torch.sparse_coo\): expected floats"),
        ((nn.Sequential(nn.LazyConv2d(2, 3)), blob_images((1, 1)), [1]), "Sequential is not yet initialised: give it"),
        ((Odd("none"), blob_images((1, 1)), [1]), r"the shape \(1, 0\) for 1 images: expected logits"),
        ((Odd("other"), blob_images((1, 1)), [1]), "cannot take images of shape .*'other'"),
        ((Odd("dict"), blob_images((1, 1)), [1]), "gives a dict, not a tensor of logits: wrap it"),
        ((Odd("squeezed"), blob_images((1, 1)), [1]), r"the shape \(1,\) for 1 images: expected logits \[B, K\]"),
        ((Odd("nan"), blob_images((1, 1)), [1]), "logits are no numbers"),
    ],
)
def test_what_cannot_be_explained_is_told_in_one_line(asked: tuple, words: str) -> None:
    with pytest.raises(ExplanationError, match=words) as caught:
        explain(*asked, Explainer("gradcam", "inner" if isinstance(asked[0], Odd) else ""))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*one_per_builder(), "timm/test_resnet", "timm/test_vit", "timm/test_convnext"])
def test_every_explainer_of_an_architecture_works(name: str) -> None:
    small, given = small_model(name, image_px=64), images(2).split(1)
    assert architecture(name).explainers
    cases = [torch.cat(given[:: 1 - 2 * number]) for number in range(architecture(name).images_per_case)]
    for explainer in architecture(name).explainers:
        found = explain(small, cases, [0, 2], explainer)
        assert found.maps_BHW.shape[0] == 2
        assert found.grid[0] * found.grid[1] > 1
        assert explainer.shows
    last = {"timm/test_vit": "relevance", "resnet_vit": "rollout", "attention_cnn": "gate", "vit": "gradcam"}
    last |= {"cross_modal": "crossattention", "late_fusion": "gradcam", "ct_only": "gradcam"}
    assert found.method == last.get(name, "gradcam" if name.startswith("timm/") else "hirescam")
