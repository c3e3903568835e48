"""ResNet and ViT side by side: hyperparameters and record."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.configs.patches import require_whole_patches
from trainables.configs.record import Architecture
from trainables.configs.training import BackboneConfig
from trainables.explain.explainers import BranchPair, Explainer


class ResNetViTConfig(BackboneConfig):
    """The stroke project's published configuration: ResNet50 and ViT-B/16, 224 px, AdamW 3e-4, hidden 512."""

    resnet: str = "resnet50"
    vit: str = "vit_base_patch16_224"
    hidden: Annotated[int, Field(ge=1, le=8192)] = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    fusion: Literal["concat", "gated", "attention"] = "concat"
    normalise: Literal["half", "per_branch"] = "half"
    grey_input: Literal["repeat", "fold"] = "repeat"
    freeze: Literal["none", "resnet_stem", "vit_half", "all_backbones"] = "none"

    @model_validator(mode="after")
    def _image_fits_patches(self) -> Self:
        require_whole_patches(self.image_px, self.vit)
        return self


RECORD = Architecture(
    name="resnet_vit",
    config=ResNetViTConfig,
    builder="trainables.architectures.resnet_vit:build",
    backbones=("resnet", "vit"),
    published_epochs=35,
    source="ResNet50 + ViT-B/16 stroke notebook (design facts: features concatenated, one hidden layer)",
    smoke={"resnet": "test_resnet", "vit": "test_vit", "image_px": 32, "hidden": 16},
    explainers=(
        Explainer("gradcam", "cnn", "ResNet", "where the ResNet's features speak for the class"),
        Explainer("hirescam", "cnn.layer2", "ResNet fine", "the same, finer: by an earlier layer of the ResNet"),
        Explainer("relevance", "vit", "ViT", "which patches the ViT's attention takes in that speak for the class"),
        Explainer("rollout", "vit", "ViT attention", "which patches the ViT's attention takes in, whatever the class"),
    ),
    pair=BranchPair(first="ResNet", second="ViT", branches=("cnn", "vit"), weight=0.6),
)
