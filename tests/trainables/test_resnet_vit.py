import hashlib
from pathlib import Path

import pytest
import torch
from hub_support import stub_hub
from torch import nn

from trainables.models import build_model

TINY = {"resnet": "test_resnet", "vit": "test_vit", "image_px": 160, "hidden": 12}


def build(pretrained: bool = False, **changes) -> nn.Module:
    torch.manual_seed(3)
    return build_model("resnet_vit", TINY | changes, 2, pretrained).eval()


def logits(model: nn.Module, side_px: int = 160) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.rand(4, 1, side_px, side_px, generator=torch.Generator().manual_seed(0)))


def test_the_published_models_weights_keep_their_names() -> None:
    with torch.device("meta"):
        state = build_model("resnet_vit", {}, 2).state_dict()
    lines = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == "7c7e7ab17d337bef", "weights of old sweeps must load"
    own = [name for name in state if not name.startswith(("cnn.", "vit."))]
    assert own == ["head.0.weight", "head.0.bias", "head.3.weight", "head.3.bias"]


def test_each_branch_sees_its_own_constants() -> None:
    half, own = build(resnet="resnet10t", image_px=32), build(resnet="resnet10t", image_px=32, normalise="per_branch")
    seen: dict[str, torch.Tensor] = {}
    for model, label in ((half, "half"), (own, "own")):
        for branch in ("cnn", "vit"):
            model.get_submodule(branch).register_forward_pre_hook(
                lambda module, inputs, key=f"{label} {branch}": seen.__setitem__(key, inputs[0])
            )
        with torch.inference_mode():
            model(torch.full((1, 1, 32, 32), 0.6))
    pixel = {key: x_BCHW[0, :, 0, 0].tolist() for key, x_BCHW in seen.items()}
    assert pixel["half cnn"] == pixel["half vit"] == pixel["own vit"] == pytest.approx([0.2] * 3)
    assert pixel["own cnn"] == pytest.approx([(0.6 - 0.485) / 0.229, (0.6 - 0.456) / 0.224, (0.6 - 0.406) / 0.225])


@pytest.mark.parametrize("normalise", ["half", "per_branch"])
def test_folded_grey_is_repeated_grey_where_all_channels_have_the_same_constants(
    normalise: str, tmp_path: Path
) -> None:
    with stub_hub(tmp_path) as hub:
        repeated, folded = (
            build(True, grey_input=grey_input, normalise=normalise) for grey_input in ("repeat", "fold")
        )
        assert sorted(set(hub.asked)) == ["test_resnet", "test_vit"]
    assert folded.cnn.conv1[0].in_channels == folded.vit.patch_embed.proj.in_channels == 1
    folded.head.load_state_dict(repeated.head.state_dict())
    assert torch.allclose(logits(folded), logits(repeated), atol=1e-4)  # both test models are normalised by 0.5


def test_folded_constants_are_the_mean_of_the_channels() -> None:
    model = build(resnet="resnet10t", grey_input="fold", normalise="per_branch")
    assert model.cnn_input.mean.item() == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    assert model.cnn_input.std.item() == pytest.approx((0.229 + 0.224 + 0.225) / 3)


@pytest.mark.parametrize("fusion", ["gated", "attention"])
def test_a_fusion_uses_both_branches(fusion: str) -> None:
    model = build(fusion=fusion)
    before = logits(model)
    for branch in ("cnn", "vit"):
        hook = model.get_submodule(branch).register_forward_hook(lambda module, inputs, output: output + 1)
        assert not torch.allclose(logits(model), before, atol=1e-4), branch
        hook.remove()
    assert torch.equal(logits(model), before)


def test_a_gate_decides_between_the_branches() -> None:
    fusion = build(fusion="gated").fusion
    cnn_BFHW, vit_BD = torch.rand(2, fusion.cnn.in_features, 3, 3), torch.rand(2, fusion.vit.in_features)
    for bias, expected in (
        (50.0, torch.tanh(fusion.cnn(cnn_BFHW.mean(dim=(2, 3))))),
        (-50.0, torch.tanh(fusion.vit(vit_BD))),
    ):
        nn.init.constant_(fusion.gate.bias, bias)
        assert torch.allclose(fusion(cnn_BFHW, vit_BD), expected, atol=1e-6)


@pytest.mark.parametrize(("hidden", "heads"), [(16, 8), (12, 4), (7, 1)])
def test_attention_fits_every_width(hidden: int, heads: int) -> None:
    model = build(fusion="attention", hidden=hidden)
    assert model.fusion.attention.num_heads == heads
    assert logits(model).shape == (4, 2)
