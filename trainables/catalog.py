"""What there is: tasks, architectures and their hyperparameters, as records that import without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Weights = Literal["pretrained", "random"]


@dataclass(frozen=True)
class Task:
    """What is predicted; `layout` is the dotted path of the reader of its data folder."""

    name: str
    title: str
    classes: tuple[str, ...]
    layout: str
    primary_metric: str = "auroc"


class TrainingConfig(BaseModel):
    """Hyperparameters that every architecture has; fields are the schema that sweep files are checked against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: Annotated[float, Field(gt=0, le=1)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    image_px: Annotated[int, Field(ge=16, le=2048)] = 224
    hflip: bool = True
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 10.0


class ResNetViTConfig(TrainingConfig):
    """The stroke project's published configuration: ResNet50 and ViT-B/16, 224 px, AdamW 3e-4, hidden 512."""

    resnet: str = "resnet50"
    vit: str = "vit_base_patch16_224"
    hidden: Annotated[int, Field(ge=1, le=8192)] = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    @model_validator(mode="after")
    def _image_fits_patches(self) -> Self:
        patch = re.search(r"patch(\d+)", self.vit)
        if patch and self.image_px % int(patch.group(1)):
            raise ValueError(
                f"image_px={self.image_px} must be a multiple of {patch.group(1)}, the patch of {self.vit}"
            )
        return self


@dataclass(frozen=True)
class Architecture:
    """A model family: its schema, the dotted path of its builder, and the fields that name timm backbones."""

    name: str
    config: type[TrainingConfig]
    builder: str
    backbones: tuple[str, ...]
    published_epochs: int
    source: str


TASKS: Mapping[str, Task] = {
    "stroke": Task(
        name="stroke",
        title="Stroke or not, from a CT or MR slice of the head",
        classes=("normal", "stroke"),
        layout="trainables.data.stroke_folders:read_stroke_folders",
    ),
}

ARCHITECTURES: Mapping[str, Architecture] = {
    "resnet_vit": Architecture(
        name="resnet_vit",
        config=ResNetViTConfig,
        builder="trainables.architectures.resnet_vit:build",
        backbones=("resnet", "vit"),
        published_epochs=35,
        source="ResNet50 + ViT-B/16 stroke notebook (design facts: features concatenated, one hidden layer)",
    ),
}


def default_hyperparameters(architecture: str) -> dict[str, Any]:
    """Return the published configuration of an architecture."""
    return ARCHITECTURES[architecture].config().model_dump()
