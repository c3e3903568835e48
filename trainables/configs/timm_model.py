"""Any classifier of timm: hyperparameters and record."""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from trainables.configs.record import Architecture
from trainables.configs.training import BackboneConfig
from trainables.explain.explainers import Explainer

TIMM = "timm/"  # before the name of any timm classifier


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


@cache
def timm_record(timm_name: str) -> Architecture:
    """Return the record of one timm model, made once; whether timm knows it is not asked here."""
    return Architecture(
        name=TIMM + timm_name,
        config=timm_config(timm_name),
        builder="trainables.architectures.timm_model:build",
        backbones=("timm_name",),
        published_epochs=None,
        source=f"timm's {timm_name} with a new last layer",
        smoke={"image_px": 32},
        explainers=(Explainer("auto", "backbone", "backbone", "where the image speaks for the class"),),
    )
