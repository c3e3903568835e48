"""The dementia project's ModelOdGPT: hyperparameters and record."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.configs.generic_cnn import GENERIC_BUILDER, GENERIC_EXPLAINERS, GenericCNNConfig
from trainables.configs.record import Architecture


class GPTCNNConfig(GenericCNNConfig):
    """Three blocks of 5 x 5 convolutions, batch norm before the pool; its recipe is the baseline's (ours)."""

    conv_blocks: Literal[3] = 3
    base_width: Literal[16] = 16
    kernel_size: Literal[5] = 5
    norm: Literal["after_relu"] = "after_relu"
    normed_blocks: Literal["all"] = "all"
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    last_block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    hidden: Literal[256] = 256
    second_hidden: Literal[64] = 64


RECORD = Architecture(
    name="gpt_cnn",
    config=GPTCNNConfig,
    builder=GENERIC_BUILDER,
    backbones=(),
    published_epochs=None,
    source="Alzheimer MRI project (design facts: ModelOdGPT: three 5 x 5 convolutions, two hidden layers)",
    smoke={"image_px": 32},
    explainers=GENERIC_EXPLAINERS,
)
