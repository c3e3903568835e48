"""Two images of a case: what is exchanged, what each baseline sees, and which maps show it."""

import re

import numpy as np
import pytest
import torch
from explain_support import small_model
from pydantic import ValidationError
from torch import Tensor

from trainables.architectures.cross_modal import Attention
from trainables.catalog import architecture, default_hyperparameters
from trainables.errors import ExplanationError
from trainables.explain.comparison import explainers_to_compare
from trainables.explain.components import branch_shares
from trainables.explain.cross_attention import patch_attention, token_grid
from trainables.explain.cross_looks import cross_looks
from trainables.explain.engine import explain
from trainables.explain.explained import Explained
from trainables.explain.explainers import AUTO, Explainer
from trainables.explain.packaged import explainers_for
from trainables.inference import logits_of
from trainables.models import build_model, count_parameters

BOTH = ("cross_modal", "late_fusion")
KINDS = (
    {},
    {"pool": "cls"},
    {"pool": "attention", "fusion": "sum", "sa_layers": 0},
    {"fusion": "gated", "ca_layers": 2},
    {"share_encoders": True},
)


def pairs(num_cases: int = 3, side_px: int = 32) -> Tensor:
    return torch.rand(num_cases, 2, side_px, side_px, generator=torch.Generator().manual_seed(1))


def logits(name: str, x_BMHW: Tensor, **changes: object) -> Tensor:
    with torch.no_grad():
        return logits_of(small_model(name, **changes).eval(), x_BMHW)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("cross_modal", 938_882), ("late_fusion", 806_660), ("ct_only", 415_874), ("mri_only", 415_874)],
)
def test_the_published_form_has_as_many_parameters_as_its_layers(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(build_model(name, default_hyperparameters(name), 2)) == (parameters, parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_both_images_are_looked_at_and_are_no_two_of_a_kind(kind: dict) -> None:
    x_BMHW = pairs()
    one, other = x_BMHW.clone(), x_BMHW.clone()
    one[:, 0], other[:, 1] = 0, 0
    found = logits("cross_modal", x_BMHW, **kind)
    for changed in (one, other, x_BMHW.flip(1)):
        assert not torch.allclose(logits("cross_modal", changed, **kind), found)


@pytest.mark.parametrize(("name", "looked_at"), [("ct_only", 0), ("mri_only", 1)])
def test_a_baseline_of_one_image_does_not_see_the_other(name: str, looked_at: int) -> None:
    x_BMHW = pairs()
    changed = x_BMHW.clone()
    changed[:, 1 - looked_at] = 0
    assert torch.equal(logits(name, changed), logits(name, x_BMHW))
    changed[:, looked_at] = 0
    assert not torch.allclose(logits(name, changed), logits(name, x_BMHW))


def test_late_fusion_adds_and_cross_attention_does_not() -> None:
    """What CT adds is the same beside every MR image, where each is judged by itself: so it cannot learn an XOR."""
    x_BMHW = pairs(2)
    mixed = torch.stack([torch.cat([x_BMHW[a, :1], x_BMHW[b, 1:]]) for a in (0, 1) for b in (0, 1)])
    for name, adds in (("late_fusion", True), ("cross_modal", False)):
        aa, ab, ba, bb = logits(name, mixed).unbind()
        assert torch.allclose(aa - ba, ab - bb, atol=1e-6) == adds


def test_shared_encoders_and_positions_are_one_set_of_weights() -> None:
    apart, shared = (small_model("cross_modal", share_encoders=share) for share in (False, True))
    assert shared.ct.encoder is shared.mri.encoder
    assert apart.ct.encoder is not apart.mri.encoder
    assert apart.ct.position is apart.mri.position
    of_encoder = sum(parameter.numel() for parameter in apart.ct.encoder.parameters())
    assert count_parameters(apart)[1] - count_parameters(shared)[1] == of_encoder


def test_attention_is_that_of_the_library_and_its_weights_are_on_the_path_of_the_gradient() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4, 0.0).eval(), torch.nn.MultiheadAttention(16, 4, batch_first=True).eval()
    with torch.no_grad():
        parts = (ours.to_queries, ours.to_keys, ours.to_values)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    asking_BQD, asked_BKD = torch.rand(2, 5, 16), torch.rand(2, 7, 16)
    expected_BQD, weights_BHQK = theirs(asking_BQD, asked_BKD, asked_BKD, average_attn_weights=False)
    seen: list[Tensor] = []
    ours.attn_drop.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    found_BQD = ours(asking_BQD, asked_BKD)
    assert torch.allclose(found_BQD, expected_BQD, atol=1e-6)
    assert torch.allclose(seen[0], weights_BHQK, atol=1e-6)
    assert torch.allclose(seen[0].sum(dim=-1), torch.ones(2, 4, 5))
    (gradient,) = torch.autograd.grad(found_BQD.sum(), seen[0])
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"embed_dim": 20, "heads": 8}, "embed_dim=20 must be a multiple of heads=8"),
        ({"image_px": 224, "encoder_stages": 2}, "gives 56 x 56 tokens"),
        ({"image_px": 100}, "the side must be a multiple of 16"),
        ({"pool": "cls", "sa_layers": 0}, "pool=cls needs sa_layers"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(values: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        architecture("cross_modal").config(**values)


def explained(name: str = "cross_modal", **changes: object) -> Explained:
    images_NMHW = (pairs(4) * 255).byte().numpy()
    return Explained(architecture(name), small_model(name, num_classes=2, **changes).eval(), images_NMHW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_is_what_the_model_computes(kind: dict) -> None:
    found = explained(**kind)
    look = next(cross_looks(found, [1]))
    assert look.names == ("CT", "MRI") and look.grid == (4, 4)
    assert np.array_equal(look.images_2HW, found.images_NMHW[1])
    model, x_1MHW = found.model, found.input_of([1])
    with torch.no_grad():
        ct_1ND, mri_1ND = model.ct(x_1MHW[:, :1]), model.mri(x_1MHW[:, 1:])
        before = torch.cat([ct_1ND, mri_1ND])[:, -16:]
        maps = model.ct.encoder.stages[-1][:3](model.ct.encoder.stages[:-1]((x_1MHW[:, :1] - MEAN) / STD))
        for ct_to_mri, mri_to_ct in zip(model.ct_to_mri, model.mri_to_ct, strict=True):
            ct_1ND, mri_1ND = ct_to_mri(ct_1ND, mri_1ND), mri_to_ct(mri_1ND, ct_1ND)
    assert np.allclose(look.before_2ND, before, atol=1e-5)
    assert np.allclose(look.after_2ND, torch.cat([ct_1ND, mri_1ND])[:, -16:], atol=1e-5)
    assert np.allclose(look.features_2CHW[0], maps[0], atol=1e-5)
    assert np.allclose(look.fused_DHW[:, 1, 2], look.after_2ND[:, 6].ravel())


MEAN, STD = (torch.tensor(one).view(1, 3, 1, 1) for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def test_maps_of_the_other_image_lie_on_the_image_that_is_asked() -> None:
    """Attention forced to one key must show that key, on the MR image for CT to MRI, and the reverse on CT."""
    found = explained()
    for place, (asking, image) in enumerate((("ct_to_mri", 1), ("mri_to_ct", 0))):
        attention = found.model.get_submodule(asking)[-1].attention
        key = 6 + place

        def forced(module: torch.nn.Module, given: tuple[Tensor, ...], key: int = key) -> tuple[Tensor, ...]:
            return (torch.zeros_like(given[0]).index_fill_(3, torch.tensor([key]), 1.0),)

        handle = attention.attn_drop.register_forward_pre_hook(forced, prepend=True)
        (map_hw,) = found.maps([Explainer("crossattention", f"{asking}.-1.attention", "a", image=image)], [0], [1])[
            "a"
        ].maps_BHW
        handle.remove()
        assert map_hw.shape == (4, 4)
        assert map_hw.ravel()[key] == pytest.approx(16) and map_hw.sum() == pytest.approx(16)


def test_relevance_follows_the_class_and_attention_does_not() -> None:
    found = explained()
    for method, same in (("crossattention", True), ("crossrelevance", False)):
        one = Explainer(method, "ct_to_mri.-1.attention", "a", image=1)
        first, second = (found.maps([one], [0], [target])["a"].maps_BHW for target in (0, 1))
        assert np.array_equal(first, second) == same
        assert first.min() >= 0 and first.max() > 0


def test_a_class_token_is_left_out_and_rows_sum_to_one_again() -> None:
    assert token_grid(16, "x") == (4, 4, 0)
    assert token_grid(17, "x") == (4, 4, 1)
    with pytest.raises(ExplanationError, match="x: 15 tokens are no square grid"):
        token_grid(15, "x")
    weights_HQK = torch.rand(2, 17, 17).softmax(dim=-1)
    patches_HQK = patch_attention(weights_HQK, 1)
    assert torch.allclose(patches_HQK.sum(dim=-1), torch.ones(2, 16))
    assert torch.allclose(patches_HQK[:, 3, 4] / patches_HQK[:, 3, 5], weights_HQK[:, 4, 5] / weights_HQK[:, 4, 6])


@pytest.mark.parametrize("name", BOTH)
def test_the_share_of_each_modality_adds_up_to_the_answer(name: str) -> None:
    found = explained(name)
    pair = found.architecture.pair
    shares = branch_shares(found.model, found.input_of([0, 1]), [1, 0], found.input_of([2, 3]), pair.branches)
    for one in shares:
        assert sum(one.shapley) == pytest.approx(one.above_baseline, abs=1e-5)
    assert pair.names == ("CT", "MRI")


def test_a_layer_that_is_asked_for_must_lie_on_one_image() -> None:
    found = explained()
    (one,), refused = explainers_for(found, Explainer("hirescam", "mri.encoder.stages.1.2"))
    assert (one.image, refused) == (1, [])
    both, _ = explainers_for(found, Explainer("occlusion"))
    assert [(each.name, each.image) for each in both] == [("CT occlusion", 0), ("MRI occlusion", 1)]
    cams, _ = explainers_for(found, Explainer("gradcam"))
    assert [each.image for each in cams] == [0, 1]
    for layer in ("ct_to_mri.0", "ct_to_mri.-1.attention", "mri_to_ct.0.attention"):  # queries of one, keys of another
        words = rf"{re.escape(repr(layer))} lies on no one image of a case: name one of ct or mri"
        with pytest.raises(ExplanationError, match=words):
            explainers_for(found, Explainer("gradcam", layer))
    (auto,), _ = explainers_for(found, Explainer(AUTO, "mri.encoder.stages.1.2"))
    assert auto.image == 1
    for method in ("hirescam", AUTO):
        with pytest.raises(ExplanationError, match=f"{method}: a case has several images: say which by --layer"):
            explainers_for(found, Explainer(method))
    with pytest.raises(ExplanationError, match=r"ct\.encoder is no attention whose weights can be read"):
        explain(found.model, found.input_of([0]).split(1, dim=1), [0], Explainer("crossattention", "ct.encoder"))


def test_with_shared_encoders_a_layer_still_lies_on_the_image_it_is_asked_for() -> None:
    found = explained(share_encoders=True)
    for branch, image in (("ct", 0), ("mri", 1)):
        (one,), _ = explainers_for(found, Explainer("gradcam", f"{branch}.encoder.stages.-1.2"))
        assert (one.name, one.image) == (f"{('CT', 'MRI')[image]} Grad-CAM", image)
    compared = explainers_to_compare(found, ["gradcam", "hirescam"], None)
    maps = found.maps(compared, [0], [1])
    assert len({(one.layer, one.image) for one in maps.values()}) == 2
    ct, mri = (one.maps_BHW for one in maps.values() if one.method == "gradcam")
    assert not np.allclose(ct, mri)


@pytest.mark.parametrize(
    ("layer", "image"), [("ct_to_mri.0.attention", 1), ("mri_to_ct.1.attention", 0), ("mri_to_ct.-1.attention", 0)]
)
def test_attention_between_images_lies_on_the_one_that_is_asked(layer: str, image: int) -> None:
    (one,), _ = explainers_for(explained(ca_layers=2), Explainer("crossattention", layer))
    assert one.image == image


def test_attention_within_an_image_is_none_between_images() -> None:
    with pytest.raises(ExplanationError, match=r"ct\.layers\.0\.attention: is no attention between images; ct_to_mri"):
        explainers_for(explained(), Explainer("crossattention", "ct.layers.0.attention"))
    with pytest.raises(ExplanationError, match="no attention between images; there is none in this model"):
        explainers_for(explained("ct_only"), Explainer("crossattention", "stream.layers.0.attention"))


@pytest.mark.faults  # half a minute
def test_cross_attention_learns_what_only_both_images_tell_and_late_fusion_does_not() -> None:
    """A bright square in exactly one of two images of noise; each image alone has one in half of either class."""
    rng = np.random.default_rng(0)
    shows_N2 = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 40)
    x_NMHW = torch.from_numpy(rng.random((160, 2, 16, 16), dtype=np.float32) * 0.2)
    for n, shows_2 in enumerate(shows_N2):
        for image in np.flatnonzero(shows_2):
            row, column = rng.integers(0, 9, 2)
            x_NMHW[n, image, row : row + 7, column : column + 7] += 0.8
    labels_N = torch.from_numpy(shows_N2.sum(axis=1) % 2)
    right = {}
    for name in BOTH:
        torch.manual_seed(0)
        changes = {"image_px": 16, "encoder_stages": 2, "sa_layers": 0, "embed_dim": 32}
        model = small_model(name, num_classes=2, **changes).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        for step in range(150):
            batch = torch.arange(16) + 16 * (step % 8)
            loss = torch.nn.functional.cross_entropy(logits_of(model, x_NMHW[batch]), labels_N[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            answers = logits_of(model.eval(), x_NMHW[128:]).argmax(dim=1)
        right[name] = float((answers == labels_N[128:]).float().mean())
    assert right["cross_modal"] > 0.9, right
    assert right["late_fusion"] < 0.7, right
