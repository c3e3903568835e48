"""How the dementia project trained its small CNNs."""

from typing import Annotated

from pydantic import Field

from trainables.configs.training import TrainingConfig


class RawGreyCNNConfig(TrainingConfig):
    """The dementia project's recipe: 128 px, AdamW 1e-3 with torch's default weight decay, no augmentation."""

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    image_px: Annotated[int, Field(ge=16, le=2048)] = 128
    hflip: bool = False
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
