"""The dementia project's DifferentOdBaseline: hyperparameters and record."""

from typing import Literal

from trainables.configs.generic_cnn import GENERIC_BUILDER, GENERIC_EXPLAINERS, GenericCNNConfig
from trainables.configs.record import Architecture


class DifferentCNNConfig(GenericCNNConfig):
    """Two blocks of 5 x 5 convolutions without batch norm, half the widths; its recipe is the baseline's (ours)."""

    conv_blocks: Literal[2] = 2
    base_width: Literal[16] = 16
    kernel_size: Literal[5] = 5
    norm: Literal["none"] = "none"
    hidden: Literal[64] = 64
    second_hidden: Literal[0] = 0


RECORD = Architecture(
    name="different_cnn",
    config=DifferentCNNConfig,
    builder=GENERIC_BUILDER,
    backbones=(),
    published_epochs=None,
    source="Alzheimer MRI project (design facts: DifferentOdBaseline: two 5 x 5 convolutions, no batch norm)",
    smoke={"image_px": 32},
    explainers=GENERIC_EXPLAINERS,
)
