"""Hyperparameters of each architecture; defaults are the published configuration."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, create_model, model_validator

from trainables.configs.training import BackboneConfig, TrainingConfig


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
        patch = re.search(r"patch(\d+)", self.vit)
        if patch and int(patch.group(1)) and self.image_px % int(patch.group(1)):
            raise ValueError(
                f"image_px={self.image_px} must be a multiple of {patch.group(1)}, the patch of {self.vit}"
            )
        return self


def _own_or_not_tiny(image_px: int) -> int:
    if 0 < image_px < 16:
        raise ValueError("must be at least 16, or 0 for the model's own size")
    return image_px


class TimmConfig(BackboneConfig):
    """A classifier of timm with one new last layer; its defaults make no claim of being published."""

    timm_name: str = ""
    image_px: Annotated[int, Field(ge=0, le=2048), AfterValidator(_own_or_not_tiny)] = 0  # 0: the model's own size
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0  # stochastic depth, of the last layer
    normalise: Literal["own", "half"] = "own"
    grey_input: Literal["fold", "repeat"] = "fold"
    freeze: Literal["none", "half", "backbone"] = "none"


def timm_config(timm_name: str) -> type[TimmConfig]:
    """Return the schema of one timm model; its name is a fixed field, so that hyperparameters tell the whole model."""
    fixed: Any = Literal[timm_name]
    return create_model("TimmConfig", __base__=TimmConfig, timm_name=(fixed, timm_name))


class BaselineCNNConfig(TrainingConfig):
    """The dementia project's baseline: 128 px, AdamW 1e-3 with torch's default weight decay, no augmentation."""

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    image_px: Annotated[int, Field(ge=16, le=2048)] = 128
    hflip: bool = False
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
