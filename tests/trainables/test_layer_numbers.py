import pytest
import timm
import torch
from torch import nn

from trainables.layers import layer_numbers


def backbone(name: str, num_classes: int = 2) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, num_classes=num_classes)


@pytest.mark.parametrize(
    ("name", "num_layers", "stem", "last"),
    [
        ("resnet18", 9, "conv1.weight", "layer4.1.conv2.weight"),
        ("vit_tiny_patch16_224", 13, "patch_embed.proj.weight", "blocks.11.mlp.fc2.weight"),
        ("convnext_tiny", 20, "stem.0.weight", "head.norm.weight"),
        ("efficientnet_b0", 17, "conv_stem.weight", "conv_head.weight"),
        ("swin_tiny_patch4_window7_224", 13, "patch_embed.proj.weight", "layers.3.blocks.1.mlp.fc2.weight"),
    ],
)
def test_layers_are_numbered_from_the_input(name: str, num_layers: int, stem: str, last: str) -> None:
    model = backbone(name)
    numbers = layer_numbers(model)
    assert numbers[stem] == 0
    assert numbers[last] == max(numbers.values())
    assert sorted(set(numbers.values())) == list(range(num_layers))
    classifier = {name for name, parameter in model.named_parameters() if parameter.shape[:1] == (2,)}
    assert classifier == {name for name, _ in model.named_parameters()} - numbers.keys(), "the head has no number"


def test_blocks_follow_each_other() -> None:
    numbers = layer_numbers(backbone("vit_tiny_patch16_224"))
    assert [numbers[f"blocks.{i}.attn.qkv.weight"] for i in range(12)] == list(range(1, 13))
    assert numbers["pos_embed"] == numbers["cls_token"] == 0
    assert numbers["norm.weight"] == 12


def test_without_a_classifier_every_parameter_has_a_number() -> None:
    model = backbone("resnet18", num_classes=0)
    assert layer_numbers(model).keys() == {name for name, _ in model.named_parameters()}


def test_both_heads_of_a_distilled_model_are_heads() -> None:
    model = backbone("deit_tiny_distilled_patch16_224")
    names = {name for name, _ in model.named_parameters()}
    assert names - layer_numbers(model).keys() == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


def test_a_model_without_a_matcher_is_one_layer() -> None:
    model = backbone("poolformer_s12")
    assert not hasattr(model, "group_matcher")
    assert set(layer_numbers(model).values()) == {0}
    assert set(layer_numbers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))).values()) == {0}
