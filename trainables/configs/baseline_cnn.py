"""The dementia project's baseline: hyperparameters and record."""

from typing import Annotated

from pydantic import Field

from trainables.configs.record import Architecture
from trainables.configs.training import TrainingConfig
from trainables.explain.explainers import Explainer


class BaselineCNNConfig(TrainingConfig):
    """The dementia project's baseline: 128 px, AdamW 1e-3 with torch's default weight decay, no augmentation."""

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    image_px: Annotated[int, Field(ge=16, le=2048)] = 128
    hflip: bool = False
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 0.0


RECORD = Architecture(
    name="baseline_cnn",
    config=BaselineCNNConfig,
    builder="trainables.architectures.baseline_cnn:build",
    backbones=(),
    published_epochs=10,
    source="BaselineCNN of an Alzheimer MRI project (design facts: two 3 x 3 convolutions, one hidden layer)",
    smoke={"image_px": 32},
    explainers=(Explainer("gradcam", "features.-2", "CNN", "where the last activations speak for the class"),),
)
