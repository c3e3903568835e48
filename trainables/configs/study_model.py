"""The dementia project's model of two paths, and the same at half the widths: hyperparameters and records."""

from typing import Annotated, Literal

from pydantic import Field

from trainables.configs.raw_grey_cnn import RawGreyCNNConfig
from trainables.configs.record import Architecture
from trainables.explain.explainers import BranchPair, Explainer


class StudyModelConfig(RawGreyCNNConfig):
    """Two paths of five convolutions each; its recipe is the baseline's (ours)."""

    base_width: Literal[16] = 16  # channels of the 3 x 3 path's first block; all widths go with it
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2  # at the end of each path


class StudyModelHalvedConfig(RawGreyCNNConfig):
    """All widths halved, hidden ones too: reconstructed, as its layers are not recorded."""

    base_width: Literal[8] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


def _record(name: str, config: type[RawGreyCNNConfig], source: str) -> Architecture:
    return Architecture(
        name=name,
        config=config,
        builder="trainables.architectures.study_model:build",
        backbones=(),
        published_epochs=None,
        source=source,
        smoke={"image_px": 32},
        explainers=(
            Explainer(
                "gradcam", "path_3x3.0.-1", "3 x 3", "where the 3 x 3 path's last activations speak for the class"
            ),
            Explainer("gradcam", "path_5x5.0.-1", "5 x 5", "where those of the 5 x 5 path do"),
            Explainer("hirescam", "path_3x3.0.-4", "3 x 3 fine", "as 3 x 3, finer: by the block before"),
            Explainer("hirescam", "path_5x5.0.-4", "5 x 5 fine", "as 5 x 5, finer: by the block before"),
        ),
        pair=BranchPair(first="3 x 3", second="5 x 5", branches=("path_3x3", "path_5x5")),
    )


RECORDS = (
    _record(
        "study_model",
        StudyModelConfig,
        "Alzheimer MRI project (design facts: StudyModel_1: a path of 3 x 3 and one of 5 x 5 convolutions)",
    ),
    _record(
        "study_model_halved",
        StudyModelHalvedConfig,
        "Alzheimer MRI project (reconstructed: StudyModel_1 with all widths halved)",
    ),
)
