"""The dementia project's baseline and its variants: hyperparameters and records."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from trainables.configs.generic_cnn import GENERIC_BUILDER, GENERIC_EXPLAINERS, GenericCNNConfig
from trainables.configs.record import Architecture
from trainables.explain.explainers import Explainer


class _Family(GenericCNNConfig):
    """What all variants share; a structure other than the published one is `generic_cnn`."""

    base_width: Literal[32] = 32
    kernel_size: Literal[3] = 3
    norm: Literal["after_pool"] = "after_pool"
    hidden: Literal[128] = 128
    second_hidden: Literal[0] = 0


class BaselineCNNConfig(_Family):
    """Two blocks, the first with batch norm; no dropout."""

    conv_blocks: Literal[2] = 2
    normed_blocks: Literal["all_but_last"] = "all_but_last"


class WeightedSamplerConfig(BaselineCNNConfig):
    """The baseline, every class drawn equally often."""

    imbalance: Literal["weighted_sampler"] = "weighted_sampler"


class HEMConfig(BaselineCNNConfig):
    """The baseline, trained on the hardest fifth of every batch, which is shown again."""

    imbalance: Literal["hem"] = "hem"


class CEConfig(_Family):
    """Two blocks with batch norm; dropout after both and before the output."""

    conv_blocks: Literal[2] = 2
    normed_blocks: Literal["all"] = "all"
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    last_block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5


class CEDroppedConfig(CEConfig):
    """As CE, with less dropout, and none after the first block."""

    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    last_block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3


class CEDrop01Config(CEConfig):
    """As CE, with a dropout of 0.1 before the output alone."""

    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    last_block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class CEConvAddConfig(_Family):
    """Three blocks with batch norm; a dropout of 0.1 before the output."""

    conv_blocks: Literal[3] = 3
    normed_blocks: Literal["all"] = "all"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class CEConvAddDropMinusConfig(CEConvAddConfig):
    """Three blocks with batch norm; no dropout."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


LAST_ACTIVATIONS, FINE = GENERIC_EXPLAINERS
BASELINE_EXPLAINERS = (replace(LAST_ACTIVATIONS, layer="features.5"), FINE)  # as in models registered earlier


def _record(
    name: str,
    config: type[GenericCNNConfig],
    published_epochs: int,
    design: str,
    explainers: tuple[Explainer, ...] = GENERIC_EXPLAINERS,
) -> Architecture:
    return Architecture(
        name=name,
        config=config,
        builder=GENERIC_BUILDER,
        backbones=(),
        published_epochs=published_epochs,
        source=f"Alzheimer MRI project (design facts: {design})",
        smoke={"image_px": 32},
        explainers=explainers,
    )


RECORDS = (
    _record(
        "baseline_cnn",
        BaselineCNNConfig,
        10,
        "BaselineCNN: two 3 x 3 convolutions, one hidden layer",
        explainers=BASELINE_EXPLAINERS,
    ),
    _record(
        "baseline_cnn_weighted_sampler",
        WeightedSamplerConfig,
        10,
        "BaselineCNN_WeightedRandomSample: the baseline, classes drawn equally often",
    ),
    _record("baseline_cnn_hem", HEMConfig, 20, "BaselineCNN_HEM: the baseline, on the hardest fifth of each batch"),
    _record("baseline_cnn_ce", CEConfig, 32, "BaselineCNN_CE: batch norm in both blocks, dropout .3, .4 and .5"),
    _record("baseline_cnn_ce_dropped", CEDroppedConfig, 32, "BaselineCNN_CE_Dropped: as CE, dropout .2 and .3"),
    _record("baseline_cnn_ce_drop01", CEDrop01Config, 32, "BaselineCNN_CE_Drop01: as CE, dropout .1 before the output"),
    _record("baseline_cnn_ce_convadd", CEConvAddConfig, 32, "BaselineCNN_CE_ConvAdd: as CE_Drop01, a third block"),
    _record(
        "baseline_cnn_ce_convadd_dropminus",
        CEConvAddDropMinusConfig,
        32,
        "BaselineCNN_CE_ConvAdded_DropMinus: as CE_ConvAdd, no dropout",
    ),
)
