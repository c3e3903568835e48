from pathlib import Path

import pytest
import timm
import torch
from hub_support import stub_hub
from torch import nn

from trainables.catalog import architecture, default_hyperparameters
from trainables.errors import ArchitectureError, WeightsError
from trainables.models import build_model, check_backbone
from trainables.timm_models import check_timm, lacking_rates


def build(name: str, pretrained: bool = False, **changes) -> nn.Module:
    return build_model(f"timm/{name}", changes, 2, pretrained).eval()


def asked(name: str, **changes) -> dict:
    return default_hyperparameters(f"timm/{name}") | {"image_px": 224} | changes


def logits(model: nn.Module, side_px: int = 32) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.rand(4, 1, side_px, side_px, generator=torch.Generator().manual_seed(0)))


def test_hyperparameters_name_the_model() -> None:
    assert default_hyperparameters("timm/resnet18")["timm_name"] == "resnet18"
    assert architecture("timm/vit_tiny_patch16_224.augreg_in21k").config().timm_name.endswith(".augreg_in21k")
    with pytest.raises(ValueError, match="'resnet18'"):
        architecture("timm/resnet18").config(timm_name="resnet34")
    for wrong in ("timm/", "timm/../x", "timm/hf-hub:someone/model", "timm", "resnet18"):
        with pytest.raises(KeyError):
            architecture(wrong)


@pytest.mark.parametrize(("changes", "side_px"), [({}, 160), ({"image_px": 64}, 64)])
def test_zero_is_the_models_own_image_size(changes: dict, side_px: int) -> None:
    model = build("test_vit", **changes)
    assert logits(model, side_px).shape == (4, 2)
    with pytest.raises(ValueError, match=f"expected images of {side_px} px"):
        logits(model, 32)


def test_each_hyperparameter_reaches_the_model() -> None:
    own = build("resnet10t")
    assert (own.mean.shape, own.backbone.conv1[0].in_channels) == ((1, 1, 1, 1), 1)
    assert own.mean.item() == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    colour = build("resnet10t", grey_input="repeat")
    assert colour.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert colour.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert colour.backbone.conv1[0].in_channels == 3
    half = build("resnet10t", normalise="half", grey_input="repeat", dropout=0.25, drop_path=0.2)
    assert set((*half.mean.flatten().tolist(), *half.std.flatten().tolist())) == {0.5}
    assert half.backbone.drop_rate == 0.25
    rates = [module.drop_prob for module in half.modules() if type(module).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.2)
    assert not {"mean", "std"} & half.state_dict().keys()


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_pretrained_weights_are_loaded_and_grey_folds_their_kernel(name: str, tmp_path: Path) -> None:
    with stub_hub(tmp_path) as hub:
        repeated = build(name, True, image_px=160, grey_input="repeat", normalise="half")
        folded = build(name, True, image_px=160, grey_input="fold", normalise="half")
        assert hub.asked == [name, name]
        published = hub.weights(name)
    first = timm.get_pretrained_cfg(name).first_conv + ".weight"
    classifier = timm.get_pretrained_cfg(name).classifier
    kept = [key for key in published if not key.startswith(f"{classifier}.")]
    assert all(torch.equal(repeated.backbone.state_dict()[key], published[key]) for key in kept)
    assert torch.allclose(folded.backbone.state_dict()[first], published[first].sum(1, keepdim=True), atol=1e-6)
    folded.backbone.get_classifier().load_state_dict(repeated.backbone.get_classifier().state_dict())
    assert torch.allclose(logits(folded, 160), logits(repeated, 160), atol=1e-4), "constants are equal in all channels"
    assert logits(repeated, 160).std() > 1e-3


def test_a_transformers_weights_are_fitted_to_another_image_size(tmp_path: Path) -> None:
    with stub_hub(tmp_path) as hub:
        model = build("test_vit", True, image_px=64)
        assert model.backbone.pos_embed.shape != hub.weights("test_vit")["pos_embed"].shape
        assert torch.equal(
            model.backbone.blocks[0].attn.qkv.weight, hub.weights("test_vit")["blocks.0.attn.qkv.weight"]
        )


def test_rates_that_a_family_lacks_are_refused_never_ignored() -> None:
    assert lacking_rates(asked("densenet121")) == ["drop_path"]
    assert lacking_rates(asked("resnet18")) == []
    with torch.device("meta"):
        build("densenet121", dropout=0.2)
        with pytest.raises(ValueError, match=r"densenet121 has no drop_path: it must be 0, not 0\.1"):
            build("densenet121", drop_path=0.1)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("vit_tiny_patch16_224", {"image_px": 100}, ["of 100 px", "multiple of 16", "96 or 112", "own size is 224"]),
        ("swin_tiny_patch4_window7_224", {"image_px": 150}, ["of 150 px", "multiple of 4", "144 or 160"]),
        ("test_maxvit", {"image_px": 100}, ["of 100 px", "it takes near it", "own size is 160"]),
        ("convnext_atto", {"image_px": 17}, ["of 17 px", "near it 32"]),
        ("csatv2", {"image_px": 512}, ["one channel", "set grey_input to repeat"]),
        ("mobilenetv5_300m_enc", {}, ["gives features", "no classifier"]),
    ],
)
def test_what_a_model_cannot_be_is_told_in_one_line(name: str, changes: dict, words: list[str]) -> None:
    with pytest.raises(ArchitectureError) as caught:
        check_timm(asked(name, **changes))
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "side_px"),
    [
        ("vit_tiny_patch16_224", 96),
        ("swin_tiny_patch4_window7_224", 128),
        ("resnet18", 50),
        ("convformer_s18", 64),  # says in words of its own that it takes no img_size
        ("vit_small_patch14_dinov2.lvd142m", 518),  # its weights have no last layer, and it gets one
        ("deit_tiny_distilled_patch16_224", 224),
        ("vit_so400m_patch14_siglip_384", 384),  # no multiple of its patch, but what its weights were made with
    ],
)
def test_what_a_model_can_be_is_let_through(name: str, side_px: int) -> None:
    check_timm(asked(name, image_px=side_px))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet51", "no model 'resnet51'; near it: resnet5"),
        ("clip_vit_b32", "no model 'clip_vit_b32'; near it: .*clip"),
        ("vit_tiny_patch16_224_in21k", "no model .*; near it: vit_tiny_patch16_224"),  # a name that timm gave up
        ("vit_tiny_patch16_224.augreg", "no weights 'augreg' of vit_tiny_patch16_224; known: augreg_in21k"),
    ],
)
def test_a_name_that_timm_does_not_know_is_told_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        check_backbone(name)
