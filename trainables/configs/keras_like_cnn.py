"""The dementia project's KerasLikeModel: hyperparameters and record."""

from typing import Annotated

from pydantic import Field

from trainables.configs.raw_grey_cnn import RawGreyCNNConfig
from trainables.configs.record import Architecture
from trainables.explain.explainers import Explainer


class KerasLikeCNNConfig(RawGreyCNNConfig):
    """Five blocks of fixed widths, batch norm before the pool, two hidden layers; the baseline's recipe (ours)."""

    image_px: Annotated[int, Field(ge=32, le=2048)] = 128  # five blocks halve the side
    first_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05  # after the first block
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2  # after the third and the fifth block, and before the output


RECORD = Architecture(
    name="keras_like_cnn",
    config=KerasLikeCNNConfig,
    builder="trainables.architectures.keras_like_cnn:build",
    backbones=(),
    published_epochs=None,
    source="Alzheimer MRI project (design facts: KerasLikeModel: five 3 x 3 convolutions, two hidden layers)",
    smoke={"image_px": 32},
    explainers=(
        Explainer("gradcam", "blocks.-1.act", "CNN", "where the last activations speak for the class"),
        Explainer("hirescam", "blocks.-2.act", "CNN fine", "the same, finer: by the block before"),
    ),
)
