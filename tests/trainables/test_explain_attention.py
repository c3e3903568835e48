"""Rollout by hand, relevance by a slow reference, and attention read without a trace."""

from typing import Any

import numpy as np
import pytest
import timm
import torch
from explain_support import small_model, state_of
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.attention import attention_pass, captured_attention, vit_at
from trainables.explain.engine import explain
from trainables.explain.explainers import Explainer
from trainables.explain.relevance import relevance_BNN
from trainables.explain.rollout import rollout_BNN
from trainables.explain.subject import Subject

FIRST = [[0.2, 0.6, 0.2], [0.0, 1.0, 0.0], [0.4, 0.4, 0.2]]
SECOND = [[0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def blocks(*heads: list[list[list[float]]]) -> list[Tensor]:
    """Return attention_BHNN of each block, of one image."""
    return [torch.tensor(block, dtype=torch.float64)[None] for block in heads]


def test_rollout_of_three_tokens_is_what_a_hand_computes() -> None:
    rolled = rollout_BNN(blocks([FIRST], [SECOND]))[0]
    # (FIRST + I) / 2 is [[.6, .3, .1], [0, 1, 0], [.2, .2, .6]],
    # (SECOND + I) / 2 is [[.5, .25, .25], [.1, .6, .3], [.5, 0, .5]], and the later block is multiplied from the left
    by_hand = [[0.35, 0.45, 0.2], [0.12, 0.69, 0.19], [0.4, 0.25, 0.35]]
    assert rolled.tolist() == [pytest.approx(row) for row in by_hand]


def test_heads_are_fused_by_mean_or_extreme_and_rows_still_sum_to_one() -> None:
    both = blocks([FIRST, [row[::-1] for row in FIRST]])
    mean = rollout_BNN(both)[0]
    assert mean[0].tolist() == pytest.approx([0.6, 0.3, 0.1])  # (.2, .6, .2) and itself
    assert mean[2].tolist() == pytest.approx([0.15, 0.2, 0.65])  # (.3, .4, .3) and itself
    highest = rollout_BNN(both, head_fusion="max")[0]
    assert highest[2].tolist() == pytest.approx([0.4 / 2.2, 0.4 / 2.2, 1.4 / 2.2])
    lowest = rollout_BNN(both, head_fusion="min")[0]
    assert lowest[2].tolist() == pytest.approx([0.2 / 1.8, 0.4 / 1.8, 1.2 / 1.8])
    for rolled in (mean, highest, lowest):
        assert rolled.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    for wrong in ({"head_fusion": "median"}, {"discard_fraction": 1.0}):
        with pytest.raises(ValueError, match=r"expected mean, max, min|at least 0 and below 1"):
            rollout_BNN(both, **wrong)


def test_discarding_spares_what_a_token_has_of_itself_and_of_the_class_token() -> None:
    weights = [[0.01, 0.3, 0.09, 0.6], [0.02, 0.03, 0.9, 0.05], [0.01, 0.2, 0.09, 0.7], [0.5, 0.2, 0.25, 0.05]]
    rolled = rollout_BNN(blocks([weights]), discard_fraction=0.4)[0]  # one of three patches
    assert (rolled == 0).tolist() == [
        [False, False, True, False],
        [False, False, False, True],
        [False, True, False, False],
        [False, True, False, False],
    ]
    for fraction in (0.7, 0.999):
        rolled = rollout_BNN(blocks([weights], [weights]), discard_fraction=fraction)[0]
        assert torch.isfinite(rolled).all()
        assert rolled.sum(dim=1).tolist() == pytest.approx([1] * 4)
        assert (rolled.diagonal() > 0).all()
        assert (rolled[:, 0] > 0).all()


def test_tokens_that_see_only_themselves_stay_as_they_are() -> None:
    assert torch.equal(rollout_BNN(blocks([torch.eye(3).tolist()] * 2))[0], torch.eye(3, dtype=torch.float64))


class Literal(nn.Module):
    """timm's attention, head by head, each with a place where its gradient is taken."""

    def __init__(self, attn: Any, places: list[list[Tensor]]) -> None:
        super().__init__()
        self.attn, self.places = attn, places

    def forward(self, x_BNC: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        qkv = self.attn.qkv(x_BNC)[0]
        width, size = qkv.shape[1] // 3, self.attn.head_dim
        seen, outputs = [], []
        for head in range(self.attn.num_heads):
            of_head = [qkv[:, part * width + head * size : part * width + (head + 1) * size] for part in range(3)]
            query, key = self.attn.q_norm(of_head[0]), self.attn.k_norm(of_head[1])
            attention_NN = torch.softmax(query @ key.T / size**0.5, dim=1)
            seen.append(attention_NN)
            outputs.append(attention_NN @ of_head[2])
        self.places.append(seen)
        return self.attn.proj(self.attn.norm(torch.cat(outputs, dim=1)))[None]


def slow_relevance(vit: nn.Module, x_1CHW: Tensor, target: int) -> Tensor:
    places: list[list[Tensor]] = []
    for block in vit.blocks:
        block.attn = Literal(block.attn, places)
    logit = vit(x_1CHW.requires_grad_())[0, target]
    num_tokens = len(places[0][0])
    relevance_NN = [[float(row == column) for column in range(num_tokens)] for row in range(num_tokens)]
    for heads in places:
        change_NN = torch.zeros(num_tokens, num_tokens)
        for attention_NN in heads:
            (gradient_NN,) = torch.autograd.grad(logit, attention_NN, retain_graph=True)
            for row in range(num_tokens):
                for column in range(num_tokens):
                    change_NN[row, column] += max(
                        0.0, float(gradient_NN[row, column] * attention_NN.detach()[row, column])
                    ) / len(heads)
        relevance_NN = [
            [
                relevance_NN[row][column]
                + sum(float(change_NN[row, via]) * relevance_NN[via][column] for via in range(num_tokens))
                for column in range(num_tokens)
            ]
            for row in range(num_tokens)
        ]
    return torch.tensor(relevance_NN)


@pytest.mark.parametrize(("pool", "qk_norm"), [("token", False), ("token", True), ("avg", False)])
def test_relevance_is_that_of_a_slow_reference(pool: str, qk_norm: bool) -> None:
    torch.manual_seed(0)
    made = {"img_size": 48, "num_classes": 3, "depth": 3, "qk_norm": qk_norm, "global_pool": pool}
    vit = timm.create_model("vit_tiny_patch16_224", embed_dim=32, num_heads=2, **made).eval()
    nn.init.normal_(vit.head.weight)
    x_1CHW = torch.rand(1, 3, 48, 48)
    found = explain(vit, x_1CHW, [1], Explainer("relevance"))
    reference_NN = slow_relevance(vit, x_1CHW, 1)
    patches = reference_NN[0, 1:] if pool == "token" else (reference_NN - torch.eye(10))[1:, 1:].mean(dim=0)
    assert found.maps_BHW[0].flatten() == pytest.approx(patches.numpy(), rel=1e-4, abs=1e-9)
    assert found.maps_BHW.max() > 0


def test_an_explainer_says_how_rollout_fuses_and_discards() -> None:
    model, x_BCHW = small_model(image_px=64), torch.rand(1, 1, 64, 64)
    given: tuple[dict[str, Any], ...] = ({}, {"head_fusion": "max"}, {"discard_fraction": 0.8})
    found = [explain(model, x_BCHW, [0], Explainer("rollout", "vit", **one)).maps_BHW for one in given]
    assert not np.allclose(found[0], found[1], rtol=1e-3, atol=0)
    assert not np.allclose(found[0], found[2], rtol=1e-3, atol=0)
    with pytest.raises(ExplanationError, match="are rollout's, not of relevance"):
        Explainer("relevance", "vit", head_fusion="max")


def test_relevance_is_of_the_class_and_rollout_is_not() -> None:
    model, x_BCHW = small_model(image_px=64), torch.rand(1, 1, 64, 64)
    maps = {
        (method, target): explain(model, x_BCHW, [target], Explainer(method, "vit")).maps_BHW
        for method in ("relevance", "rollout")
        for target in (0, 1)
    }
    assert np.array_equal(maps["rollout", 0], maps["rollout", 1])
    assert not np.allclose(maps["relevance", 0], maps["relevance", 1])


def test_captured_attention_is_the_softmax_of_queries_and_keys() -> None:
    torch.manual_seed(0)
    vit = timm.create_model("test_vit", img_size=64, num_classes=3).eval()
    x_BCHW = torch.rand(2, 3, 64, 64)
    given: list[Tensor] = []
    vit.blocks[2].attn.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    before = state_of(vit)
    fused = vit(x_BCHW)
    with captured_attention(vit) as found:
        assert torch.allclose(vit(x_BCHW), fused, atol=1e-5)
    attn = vit.blocks[2].attn
    query, key = attn.qkv(given[1]).unflatten(2, (3, 2, attn.head_dim)).permute(2, 0, 3, 1, 4)[:2]
    assert torch.allclose(found[2], torch.softmax(query @ key.transpose(2, 3) * attn.scale, dim=3), atol=1e-6)
    assert len(found) == len(vit.blocks)
    assert state_of(vit) == before


def test_attention_without_a_gradient_is_an_error_with_the_reason() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vit = timm.create_model("test_vit", img_size=64, num_classes=0)
            self.head = nn.Linear(self.vit.num_features, 2)

        def forward(self, x_BCHW: Tensor) -> Tensor:
            with torch.no_grad():
                features_BC = self.vit(x_BCHW)
            return self.head(features_BC) + x_BCHW.mean()

    with pytest.raises(ExplanationError, match="no gradient by every block's attention"):
        explain(Frozen(), torch.rand(1, 3, 64, 64), [1], Explainer("relevance", "vit"))


def test_fused_kernels_are_on_again_after_an_error() -> None:
    vit = timm.create_model("test_vit", img_size=64, num_classes=3)
    vit.blocks[1].attn.fused_attn = False
    before = state_of(vit)
    with pytest.raises(AssertionError), captured_attention(vit):
        vit(torch.rand(1, 3, 63, 64)[:, :, :, :0])
    assert state_of(vit) == before


def test_parameters_get_no_gradient() -> None:
    vit = timm.create_model("test_vit", img_size=64, num_classes=3).eval()
    subject = Subject(vit, (torch.rand(1, 3, 64, 64),))
    seen = attention_pass(subject, vit_at(subject, ""), 1)
    assert relevance_BNN(seen.score, seen.blocks).shape == (1, 17, 17)
    assert all(parameter.grad is None for parameter in vit.parameters())


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("test_vit3", {}, "pools tokens by 'map', not by class token or mean"),
        ("test_resnet", {}, "the model is no ViT of timm"),
        ("test_convnext", {}, "no ViT of timm"),
        ("vit_tiny_patch16_224", {"global_pool": "max", "depth": 2}, "pools tokens by 'max'"),
        ("cait_xxs24_224", {"depth": 2}, "no attention of timm's form"),
    ],
)
def test_attention_that_cannot_be_read_is_an_error_with_the_reason(name: str, changes: dict, words: str) -> None:
    if name != "test_resnet" and name != "test_convnext":
        changes = changes | {"img_size": 64}
    model = timm.create_model(name, num_classes=3, **changes)
    for method in ("rollout", "relevance"):
        with pytest.raises(ExplanationError, match=words):
            explain(model, torch.rand(1, 3, 64, 64), [1], Explainer(method))
    assert explain(model, torch.rand(1, 3, 64, 64), [1], Explainer("auto")).method == "gradcam"


@pytest.mark.parametrize(
    "name", ["test_vit", "test_vit2", "test_vit4", "vit_tiny_r_s16_p8_224", "deit_tiny_distilled_patch16_224"]
)
def test_vits_with_registers_a_mean_or_two_heads_have_maps_of_their_grid(name: str) -> None:
    vit = timm.create_model(name, img_size=64, num_classes=3)
    for method in ("rollout", "relevance"):
        found = explain(vit, torch.rand(1, 3, 64, 64), [1], Explainer(method))
        assert found.grid == vit.patch_embed.grid_size
        assert np.isfinite(found.maps_BHW).all()
        assert found.maps_BHW.max() > 0


def test_a_distilled_model_is_read_where_both_its_heads_read() -> None:
    vit = timm.create_model("deit_tiny_distilled_patch16_224", img_size=64, num_classes=3, depth=2)
    subject = Subject(vit.eval(), (torch.rand(1, 3, 64, 64),))
    rows = vit_at(subject, "")
    tokens_NN = torch.arange(18.0 * 18).reshape(18, 18)
    assert torch.equal(rows.patches_HW(tokens_NN), ((tokens_NN[0, 2:] + tokens_NN[1, 2:]) / 2).reshape(4, 4))
