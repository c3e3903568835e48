"""A CNN with channel and spatial attention: hyperparameters and record."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.configs.record import Architecture
from trainables.configs.training import Optimizer, TrainingConfig, UsedWhen
from trainables.explain.explainers import Explainer


class AttentionCNNConfig(TrainingConfig):
    """Defaults are reconstructed: that project's code could not be had.

    It states 224 px, ImageNet's constants, Adam, squeeze and excitation, then spatial attention; rate, epochs, widths
    and hidden layer are ours.
    """

    optimizer: Optimizer = "adam"
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    hflip: bool = False
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 0.0
    base_width: Annotated[int, Field(ge=4, le=256)] = (
        32  # channels of the first block; each further one has twice as many
    )
    num_blocks: Annotated[int, Field(ge=2, le=6)] = 4
    attention: Literal["none", "se", "spatial", "cbam"] = "cbam"  # se: of channels; cbam: of channels, then of places
    attention_everywhere: Annotated[bool, UsedWhen("attention", other_than=("none",))] = True  # else in the last block
    reduction: Annotated[int, Field(ge=1, le=64), UsedWhen("attention", "se", "cbam")] = 16
    channel_pool: Annotated[Literal["avg", "avg_max"], UsedWhen("attention", "se", "cbam")] = "avg"
    spatial_kernel: Annotated[Literal[3, 5, 7], UsedWhen("attention", "spatial", "cbam")] = 7
    hidden: Annotated[int, Field(ge=1, le=8192)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _leaves_a_map(self) -> Self:
        if self.image_px < 2**self.num_blocks:
            raise ValueError(
                f"image_px={self.image_px} must be at least {2**self.num_blocks}: each block halves the side"
            )
        return self


RECORD = Architecture(
    name="attention_cnn",
    config=AttentionCNNConfig,
    builder="trainables.architectures.attention_cnn:build",
    backbones=(),
    published_epochs=None,
    source="CNN with SE and spatial attention of a brain-tumour project (reconstructed: its code could not be had)",
    smoke={"image_px": 32, "base_width": 16, "num_blocks": 3, "hidden": 64, "dropout": 0.0},
    explainers=(
        Explainer(
            "gradcam",
            "blocks.-1.attention",
            "CNN",
            "where the last maps, as attention leaves them, speak for the class",
        ),
        Explainer("gradcam", "blocks.-1.act", "before attention", "where the same maps do before attention"),
        Explainer("hirescam", "blocks.-2.attention", "CNN fine", "the same, finer: by the block before"),
        Explainer(
            "gate",
            "blocks.-1.attention.places.gate",
            "spatial gate",
            "which places attention lets through, whatever the class",
        ),
    ),
    channel_gates="blocks.-1.attention.channels.gate",
)
