"""Cross attention between a CT and an MR image, and what it has to beat: hyperparameters and records."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.configs.record import Architecture
from trainables.configs.training import Optimizer, TrainingConfig
from trainables.explain.explainers import BranchPair, CrossAttention, Explainer

MOST_TOKENS = 784  # of an image: attention takes memory by their square
SOURCE = "dual cross-attention project on CT and MRI (reconstructed: its code could not be had)"
BUILDER = "trainables.architectures.cross_modal:build"
NAMES = ("CT", "MRI")
SMOKE = {"image_px": 32, "embed_dim": 16, "heads": 2, "encoder_stages": 3, "stem_width": 16, "hidden": 16}


class OneModalityConfig(TrainingConfig):
    """What all of the family share. Defaults are reconstructed: that project's code could not be had.

    It states CNN encoders, a transformer layer for each image, attention both ways, mean pooling and a linear head;
    sizes, rate, epochs and augmentation are ours.
    """

    optimizer: Optimizer = "adam"
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    early_stop_patience: Annotated[int, Field(ge=0, le=1000)] = 5
    embed_dim: Annotated[int, Field(ge=8, le=2048)] = 128  # of a token
    heads: Annotated[int, Field(ge=1, le=32)] = 4
    encoder_stages: Annotated[int, Field(ge=2, le=6)] = 4  # each halves the side
    stem_width: Annotated[int, Field(ge=4, le=256)] = 32  # channels of the first stage; they double up to embed_dim
    sa_layers: Annotated[int, Field(ge=0, le=12)] = 1  # of self-attention
    ffn_mult: Annotated[int, Field(ge=1, le=8)] = 2  # hidden width in them, of embed_dim
    pool: Literal["mean", "cls", "attention"] = "mean"
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # within attention layers
    hidden: Annotated[int, Field(ge=1, le=8192)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3  # before the last layer

    @model_validator(mode="after")
    def _tokens_fit(self) -> Self:
        if self.embed_dim % self.heads:
            raise ValueError(f"embed_dim={self.embed_dim} must be a multiple of heads={self.heads}")
        if self.pool == "cls" and not self.sa_layers:
            raise ValueError("pool=cls needs sa_layers: without them its token takes nothing in of its image")
        side = self.image_px // 2**self.encoder_stages
        if self.image_px % 2**self.encoder_stages or not 1 < side * side <= MOST_TOKENS:
            raise ValueError(
                f"image_px={self.image_px} with encoder_stages={self.encoder_stages} gives {side} x {side} tokens: "
                f"the side must be a multiple of {2**self.encoder_stages}, and tokens 4 to {MOST_TOKENS}"
            )
        return self


class CTOnlyConfig(OneModalityConfig):
    """The CT image alone."""

    modality: Literal["ct"] = "ct"


class MRIOnlyConfig(OneModalityConfig):
    """The MR image alone."""

    modality: Literal["mri"] = "mri"


class BothConfig(OneModalityConfig):
    """Both images."""

    share_encoders: bool = False
    same_geometry: bool = False  # both images of a case are moved alike: right where they are registered
    modality_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of training cases that lose one image


class LateFusionConfig(BothConfig):
    """Each image judged by itself, the logits averaged: nothing is exchanged."""

    fusion: Literal["late"] = "late"


class CrossModalConfig(BothConfig):
    """Each image's tokens attend to the other's."""

    ca_layers: Annotated[int, Field(ge=1, le=6)] = 1  # of cross attention, each way
    fusion: Literal["concat", "gated", "sum"] = "concat"


def _cam(stream: str, image: int) -> Explainer:
    name = f"{NAMES[image]} Grad-CAM"
    return Explainer(
        "gradcam", f"{stream}.encoder.stages.-1.2", name, "where its last maps speak for the class", image=image
    )


_CAMS = (_cam("ct", 0), _cam("mri", 1))


def _record(
    name: str,
    config: type[OneModalityConfig],
    explainers: tuple[Explainer, ...],
    pair: BranchPair | None = None,
    cross: CrossAttention | None = None,
) -> Architecture:
    return Architecture(
        name=name,
        config=config,
        builder=BUILDER,
        backbones=(),
        published_epochs=None,
        source=SOURCE,
        smoke=SMOKE | {"dropout": 0.0, "block_dropout": 0.0},
        explainers=explainers,
        pair=pair,
        image_names=NAMES,
        cross=cross,
    )


def _attention(layer: str, image: int) -> tuple[Explainer, Explainer]:
    """Return the maps of an image that show what the other one takes in of it."""
    asked, asking = NAMES[image], NAMES[1 - image]
    at, takes_in = f"{layer}.-1.attention", f"what {asking} takes in of it"
    return (
        Explainer("crossrelevance", at, f"{asked} relevance", f"{takes_in} that speaks for the class", image=image),
        Explainer("crossattention", at, f"{asked} attention", takes_in, image=image),
    )


_BRANCHES = BranchPair("CT Grad-CAM", "MRI Grad-CAM", ("ct", "mri"), named=NAMES)
_CROSS = CrossAttention(
    first=("ct_to_mri.0", "mri_to_ct.0"),
    last=("ct_to_mri.-1", "mri_to_ct.-1"),
    features=("ct.encoder.stages.-1.2", "mri.encoder.stages.-1.2"),
)
_BOTH_WAYS = (*_attention("mri_to_ct", 0), *_attention("ct_to_mri", 1))
RECORDS = (
    _record("cross_modal", CrossModalConfig, (*_CAMS, *_BOTH_WAYS), _BRANCHES, _CROSS),
    _record("late_fusion", LateFusionConfig, _CAMS, _BRANCHES),
    _record("ct_only", CTOnlyConfig, (_cam("stream", 0),)),
    _record("mri_only", MRIOnlyConfig, (_cam("stream", 1),)),
)
