"""A small CNN whose structure is searched: hyperparameters and record. Others fix its structure."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.configs.raw_grey_cnn import RawGreyCNNConfig
from trainables.configs.record import Architecture
from trainables.configs.training import UsedWhen
from trainables.explain.explainers import Explainer

GENERIC_BUILDER = "trainables.architectures.generic_cnn:build"
GENERIC_EXPLAINERS = (
    Explainer("gradcam", "features.-1", "CNN", "where the last activations speak for the class"),
    Explainer("hirescam", "features.1", "CNN fine", "the same, finer: by the activations of the first block"),
)


class GenericCNNConfig(RawGreyCNNConfig):
    """Structure as hyperparameters; the defaults are the dementia project's baseline."""

    conv_blocks: Annotated[int, Field(ge=2, le=5)] = 2  # each of one convolution, and each halves the side
    base_width: Annotated[int, Field(ge=8, le=64)] = 32  # channels of the first block; each further one has twice those
    kernel_size: Literal[3, 5] = 3
    norm: Literal["none", "after_pool", "after_relu"] = "after_pool"  # batch norm
    normed_blocks: Annotated[Literal["all", "all_but_last"], UsedWhen("norm", other_than=("none",))] = "all_but_last"
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # after every block but the last
    last_block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    hidden: Annotated[int, Field(ge=32, le=512)] = 128
    second_hidden: Annotated[int, Field(ge=0, le=512)] = 0  # of one more hidden layer; 0: none
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # before the output

    @model_validator(mode="after")
    def _leaves_a_map(self) -> Self:
        if self.image_px < 2 ** (self.conv_blocks + 1):  # batch norm of one image needs several places
            raise ValueError(
                f"image_px={self.image_px} must be at least {2 ** (self.conv_blocks + 1)}: each of {self.conv_blocks} "
                "blocks halves the side, and 2 x 2 places must be left"
            )
        return self


RECORD = Architecture(
    name="generic_cnn",
    config=GenericCNNConfig,
    builder=GENERIC_BUILDER,
    backbones=(),
    published_epochs=None,
    source="the small CNNs of an Alzheimer MRI project as one, whose structure is searched",
    smoke={"image_px": 32, "base_width": 8, "hidden": 32},
    explainers=GENERIC_EXPLAINERS,
)
