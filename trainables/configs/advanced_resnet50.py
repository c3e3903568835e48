"""A pretrained ResNet whose last stage learns anew: hyperparameters and record."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.configs.record import Architecture
from trainables.configs.training import BackboneConfig, Schedule, UsedWhen
from trainables.explain.explainers import Explainer


class AdvancedResNet50Config(BackboneConfig):
    """The dementia project's AdvancedCNN: ResNet50 frozen but for its last stage, 128 px, AdamW 1e-3, mirrored images.

    The weights are torchvision's first (timm's `tv_in1k`); the second are `tv2_in1k`. Ours differ in two things: frozen
    batch norms hold their statistics, which that project let drift, and the cosine ends with the last epoch, where
    theirs of 10 epochs turned and rose again in 12.
    """

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    lr_schedule: Schedule = "cosine"
    warmup_fraction: Annotated[float, Field(ge=0, le=0.5), UsedWhen("lr_schedule", "cosine", "onecycle", "plateau")] = (
        0.0
    )
    image_px: Annotated[int, Field(ge=16, le=2048)] = 128
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    resnet: str = "resnet50.tv_in1k"
    grey_input: Literal["rgb", "mean_kernel"] = "rgb"  # mean_kernel: one channel, the mean of the kernel's colours
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    freeze: Literal["none", "stem", "to_layer1", "to_layer2", "to_layer3", "backbone"] = "to_layer3"


RECORD = Architecture(
    name="advanced_resnet50",
    config=AdvancedResNet50Config,
    builder="trainables.architectures.advanced_resnet50:build",
    backbones=("resnet",),
    published_epochs=12,
    source="AdvancedCNN of an Alzheimer MRI project (design facts: all frozen but layer4 and a new last layer)",
    smoke={"resnet": "test_resnet", "image_px": 32, "dropout": 0.0},
    explainers=(
        Explainer("gradcam", "backbone", "ResNet", "where the last stage's features speak for the class"),
        Explainer("hirescam", "backbone.layer2", "ResNet fine", "the same, finer: by an earlier stage"),
    ),
)
