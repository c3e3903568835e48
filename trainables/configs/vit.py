"""A vision transformer on grey slices: hyperparameters and record."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.configs.patches import require_whole_patches
from trainables.configs.record import Architecture
from trainables.configs.training import BackboneConfig, Imbalance, Optimizer
from trainables.explain.explainers import Explainer


class ViTConfig(BackboneConfig):
    """The tumour project's published configuration: ViT-B/16, 224 px, Adam 1e-4, one logit, an unaugmented copy too."""

    optimizer: Optimizer = "adam"
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-5
    imbalance: Imbalance = "pos_weight"  # from training images alone; that project counted validation too
    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 15.0
    crop_brain: bool = True
    plain_copies: bool = True
    vit: str = "vit_base_patch16_224"
    patch_init: Literal["reinit", "fold"] = "reinit"  # fold: pretrained patches summed over colours
    one_logit: bool = True  # of two classes
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0  # stochastic depth, of the last layer
    freeze: Literal["none", "half", "backbone"] = "none"

    @model_validator(mode="after")
    def _image_fits_patches(self) -> Self:
        require_whole_patches(self.image_px, self.vit)
        return self


RECORD = Architecture(
    name="vit",
    config=ViTConfig,
    builder="trainables.architectures.vit:build",
    backbones=("vit",),
    published_epochs=50,
    source="ViT-B/16 brain-tumour project (design facts: patches initialised anew for one channel, one logit)",
    smoke={"vit": "test_vit", "image_px": 32},
    explainers=(
        Explainer("relevance", "backbone", "relevance", "which patches attention takes in that speak for the class"),
        Explainer("rollout", "backbone", "attention", "which patches attention takes in, whatever the class"),
        Explainer("gradcam", "backbone", "Grad-CAM", "where the input of the last attention speaks for the class"),
    ),
)
