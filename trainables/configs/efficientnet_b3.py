"""An EfficientNet with a hidden layer behind it: hyperparameters and record."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.configs.record import Architecture
from trainables.configs.training import BackboneConfig, Imbalance, Schedule, UsedWhen
from trainables.explain.explainers import Explainer


class EfficientNetB3Config(BackboneConfig):
    """The dementia project's EfficientNet-B3: 224 px, AdamW 1e-4, weighted classes, plateau, strong augmentation.

    The weights are by timm's author, as torchvision's of B3 are; whether they are the same is not recorded. That
    project's .2 of brightness, contrast, gamma and noise may be strengths or probabilities: here they are strengths,
    in every image. Its crop's smallest area is not recorded: 0.08, the usual one. Holes are 1 to 8, in one image of
    five. It chose rate and epoch by test images, which nothing here does.
    """

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.02
    lr_schedule: Schedule = "plateau"
    warmup_fraction: Annotated[float, Field(ge=0, le=0.5), UsedWhen("lr_schedule", "cosine", "onecycle", "plateau")] = (
        0.0
    )
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    imbalance: Imbalance = "class_weight"
    random_crop_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.92
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    shift_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    zoom_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.2
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.2
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.2
    noise: Annotated[float, Field(ge=0, le=1)] = 0.2
    num_holes: Annotated[int, Field(ge=0, le=64)] = 8
    hole_probability: Annotated[float, Field(ge=0, le=1), UsedWhen("num_holes", other_than=(0,))] = 0.2
    efficientnet: str = "efficientnet_b3.ra2_in1k"
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.2  # stochastic depth, of the last block; torchvision's
    trunk_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    hidden: Annotated[int, Field(ge=1, le=8192)] = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4  # before and after the hidden layer
    freeze: Literal["none", "half", "backbone"] = "none"


RECORD = Architecture(
    name="efficientnet_b3",
    config=EfficientNetB3Config,
    builder="trainables.architectures.efficientnet_b3:build",
    backbones=("efficientnet",),
    published_epochs=50,
    source="EfficientNet-B3 of an Alzheimer MRI project (design facts: one hidden layer, the augmentation's strengths)",
    smoke={
        "efficientnet": "test_efficientnet",
        "image_px": 32,
        "hidden": 16,
        "drop_path": 0.0,
        "trunk_dropout": 0.0,
        "dropout": 0.0,
    },
    explainers=(
        Explainer("gradcam", "backbone", "EfficientNet", "where the last features speak for the class"),
        Explainer("hirescam", "backbone.blocks.-3", "EfficientNet fine", "the same, finer: by an earlier stage"),
    ),
)
