"""Hyperparameters that every architecture has: how it is trained."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["none", "cosine", "onecycle", "plateau"]
Imbalance = Literal["none", "class_weight", "pos_weight", "weighted_sampler", "focal", "hem"]
RATES_END: tuple[Schedule, ...] = ("cosine", "onecycle")  # schedules that reach their end with the last epoch
HemMode = Literal["reforward", "reuse_loss"]


class UsedWhen:
    """Mark of a field that only counts while another one has one of a few values, or any but some."""

    def __init__(self, parent: str, *values: object, other_than: tuple[object, ...] = ()) -> None:
        self.parent, self.values, self.other_than = parent, values, other_than

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the field counts beside these values."""
        value = values.get(self.parent)
        return value not in self.other_than if self.other_than else value in self.values

    def __str__(self) -> str:
        if self.other_than:
            return f"another than {_either(self.other_than)}"
        return f"{_either(self.values)}"


class TrainingConfig(BaseModel):
    """Hyperparameters that every architecture has; fields are the schema that sweep files are checked against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Optimizer = "adamw"
    lr: Annotated[float, Field(gt=0, le=1)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1), UsedWhen("optimizer", "sgd")] = 0.9
    lr_schedule: Schedule = "none"
    warmup_fraction: Annotated[  # of all steps; the rate rises from nothing, with onecycle from 1/25
        float, Field(ge=0, le=0.5), UsedWhen("lr_schedule", "cosine", "onecycle", "plateau")
    ] = 0.05
    plateau_factor: Annotated[float, Field(gt=0, lt=1), UsedWhen("lr_schedule", "plateau")] = 0.5
    plateau_patience: Annotated[int, Field(ge=0, le=1000), UsedWhen("lr_schedule", "plateau")] = 2  # epochs
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    micro_batch_size: Annotated[int, Field(ge=0, le=4096)] = 0  # images at once, their gradients summed; 0: the batch
    grad_clip: Annotated[float, Field(ge=0, le=1000)] = 0.0  # largest gradient norm; 0: not clipped
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of averaged weights, which are then what is kept; 0: none
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    imbalance: Imbalance = "none"
    focal_gamma: Annotated[float, Field(ge=0, le=10), UsedWhen("imbalance", "focal")] = 2.0
    hem_fraction: Annotated[float, Field(gt=0, le=1), UsedWhen("imbalance", "hem")] = 0.2
    hem_mode: Annotated[HemMode, UsedWhen("imbalance", "hem")] = "reforward"
    hem_warmup_epochs: Annotated[int, Field(ge=0, le=1000), UsedWhen("imbalance", "hem")] = 0
    early_stop_patience: Annotated[int, Field(ge=0, le=1000)] = 0  # epochs without a better one; 0: never stopped
    most_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0  # of this trial, if fewer than the sweep's; 0: as many
    image_px: Annotated[int, Field(ge=16, le=2048)] = 224
    crop_brain: bool = False  # to the largest bright thing, before an image becomes a square
    crop_margin_px: Annotated[int, Field(ge=0, le=200), UsedWhen("crop_brain", True)] = 0  # of the image as it is
    plain_copies: bool = False  # every epoch shows each image twice: as it is, and augmented
    hflip: bool = True
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 10.0
    shift_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # of the side
    zoom_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0  # largest standard deviation, of the grey range
    random_crop_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0  # most of the area that a crop leaves out
    gamma: Annotated[float, Field(ge=0, lt=1)] = 0.0  # 0.2: grey to the power of 0.8 to 1.2
    num_holes: Annotated[int, Field(ge=0, le=64)] = 0  # most black squares in one image; 0: none
    hole_fraction: Annotated[  # side of a black square, of that of the image: 8 px of 224
        float, Field(gt=0, le=1), UsedWhen("num_holes", other_than=(0,))
    ] = 0.036
    hole_probability: Annotated[  # that an image has any
        float, Field(ge=0, le=1), UsedWhen("num_holes", other_than=(0,))
    ] = 1.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.micro_batch_size > self.batch_size:
            raise ValueError(
                f"micro_batch_size={self.micro_batch_size} must not be more than batch_size={self.batch_size}"
            )
        if self.label_smoothing and self.imbalance == "focal":
            raise ValueError("label_smoothing is not defined for imbalance=focal: search it when imbalance is another")
        if self.micro_batch_size and self.imbalance == "hem" and self.hem_mode == "reuse_loss":
            raise ValueError("hem_mode=reuse_loss needs the whole batch at once: use hem_mode=reforward")
        return self


class BackboneConfig(TrainingConfig):
    """Hyperparameters of architectures with backbones that may come pretrained; the head always learns at full rate."""

    backbone_lr_mult: Annotated[float, Field(gt=0, le=1)] = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0  # rate of a layer over that of the next one nearer the head
    freeze: str = "none"
    unfreeze_epoch: Annotated[  # first epoch in which all learns; 0: never
        int, Field(ge=0, le=1000), UsedWhen("freeze", other_than=("none",))
    ] = 0
    freeze_batchnorm: Annotated[  # statistics of frozen parts stay as they are
        bool, UsedWhen("freeze", other_than=("none",))
    ] = True


def unused(config: type[TrainingConfig], name: str, values: Mapping[str, Any]) -> str:
    """Return why a hyperparameter has no effect beside these values, or nothing where it has."""
    for mark in config.model_fields[name].metadata:
        if isinstance(mark, UsedWhen) and not mark.holds(values):
            return f"has no effect with {mark.parent}={values.get(mark.parent)}, only with {mark}"
    return ""


def _either(values: Collection[object]) -> str:
    return " or ".join(map(str, values))
