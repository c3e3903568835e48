"""What there is: tasks, architectures and their hyperparameters, as records that import without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from trainables.configs.architectures import BaselineCNNConfig, ResNetViTConfig, timm_config
from trainables.configs.training import TrainingConfig
from trainables.explain.explainers import BranchPair, Explainer

Weights = Literal["pretrained", "random"]


@dataclass(frozen=True)
class Task:
    """What is predicted; `layout` is the dotted path of the reader of its data folder.

    `aliases` are other spellings of classes in folders, columns and metadata (case and punctuation never matter);
    `modality` is that of every case where the layout does not tell it; `split_fractions` (training, validation, test)
    hold where the set ships no test side; `severity` names the classes from least to most severe, where they have an
    order.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    layout: str
    primary_metric: str = "auroc"
    images_per_case: int = 1
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    modality: str = "unknown"
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    severity: tuple[str, ...] = ()

    @property
    def severity_K(self) -> tuple[int, ...]:  # noqa: N802
        """Return each class's rank by severity, 0 the least; empty where the classes have no order."""
        return tuple(self.severity.index(name) for name in self.classes) if self.severity else ()


@dataclass(frozen=True)
class Architecture:
    """A model family: its schema, the dotted path of its builder, and the fields that name timm backbones.

    `smoke` is a configuration small enough to build, train and export within seconds; `published_epochs` is None where
    no project published the defaults; `explainers` are what shows why it said so, the first one best; `pair` are
    two of them whose branches are compared.
    """

    name: str
    config: type[TrainingConfig]
    builder: str
    backbones: tuple[str, ...]
    published_epochs: int | None
    source: str
    smoke: Mapping[str, Any] = field(hash=False)
    images_per_case: int = 1
    explainers: tuple[Explainer, ...] = (Explainer(name="model", shows="where the image speaks for the class"),)
    pair: BranchPair | None = None


_LAYOUTS = "trainables.data.layouts"
TASKS: Mapping[str, Task] = {
    "stroke": Task(
        name="stroke",
        title="Stroke or not, from a CT or MR slice of the head",
        classes=("normal", "stroke"),
        layout=f"{_LAYOUTS}.stroke_folders:read",
        aliases={"control": "normal"},
    ),
    "tumor_binary": Task(
        name="tumor_binary",
        title="Brain tumour or not, from an MR slice",
        classes=("no", "yes"),
        layout=f"{_LAYOUTS}.class_folders:read",
        aliases={"no tumor": "no", "healthy": "no", "normal": "no", "tumor": "yes"},
        modality="MR",
    ),
    "tumor_4class": Task(
        name="tumor_4class",
        title="Glioma, meningioma, pituitary tumour or none, from an MR slice",
        classes=("glioma", "meningioma", "notumor", "pituitary"),
        layout=f"{_LAYOUTS}.class_folders:read",
        aliases={
            "no": "notumor",
            "healthy": "notumor",
            "normal": "notumor",
            "glioma tumor": "glioma",
            "meningioma tumor": "meningioma",
            "pituitary tumor": "pituitary",
        },
        modality="MR",
    ),
    "alzheimer": Task(
        name="alzheimer",
        title="Dementia stage, from a skull-stripped MR slice",
        # The data's index order, not that of severity. Index 3 is Very Mild: the set's card and file names say so,
        # though the project that published the baseline wrote "Very Demented".
        classes=("mild", "moderate", "non", "very_mild"),
        layout=f"{_LAYOUTS}.parquet_rows:read",
        aliases={
            "mild demented": "mild",
            "moderate demented": "moderate",
            "non demented": "non",
            "very mild demented": "very_mild",
        },
        severity=("non", "very_mild", "mild", "moderate"),
        modality="MR",
    ),
    "tumor_ct_mri": Task(
        name="tumor_ct_mri",
        title="Brain tumour or not, from a CT and an MR slice together",
        classes=("healthy", "tumor"),
        layout=f"{_LAYOUTS}.paired_trees:read",
        images_per_case=2,
        aliases={"normal": "healthy", "no tumor": "healthy"},
        modality="CT+MR",
        split_fractions=(0.7, 0.15, 0.15),
    ),
}

ARCHITECTURES: Mapping[str, Architecture] = {
    "resnet_vit": Architecture(
        name="resnet_vit",
        config=ResNetViTConfig,
        builder="trainables.architectures.resnet_vit:build",
        backbones=("resnet", "vit"),
        published_epochs=35,
        source="ResNet50 + ViT-B/16 stroke notebook (design facts: features concatenated, one hidden layer)",
        smoke={"resnet": "test_resnet", "vit": "test_vit", "image_px": 32, "hidden": 16},
        explainers=(
            Explainer("gradcam", "cnn", "ResNet", "where the ResNet's features speak for the class"),
            Explainer("hirescam", "cnn.layer2", "ResNet fine", "the same, finer: by an earlier layer of the ResNet"),
            Explainer("relevance", "vit", "ViT", "which patches the ViT's attention takes in that speak for the class"),
            Explainer(
                "rollout", "vit", "ViT attention", "which patches the ViT's attention takes in, whatever the class"
            ),
        ),
        pair=BranchPair(first="ResNet", second="ViT", branches=("cnn", "vit"), weight=0.6),
    ),
    "baseline_cnn": Architecture(
        name="baseline_cnn",
        config=BaselineCNNConfig,
        builder="trainables.architectures.baseline_cnn:build",
        backbones=(),
        published_epochs=10,
        source="BaselineCNN of an Alzheimer MRI project (design facts: two 3 x 3 convolutions, one hidden layer)",
        smoke={"image_px": 32},
        explainers=(Explainer("gradcam", "features.-2", "CNN", "where the last activations speak for the class"),),
    ),
}


TIMM = "timm/"  # before the name of any timm classifier


def architecture(name: str) -> Architecture:
    """Return the record of an architecture; `timm/<name>` needs no entry, whether timm knows it is not asked here.

    Raises KeyError for a name that is neither.
    """
    if re.fullmatch(rf"{TIMM}\w[\w.-]*", name):
        return _timm_architecture(name.removeprefix(TIMM))
    return ARCHITECTURES[name]


def default_hyperparameters(name: str) -> dict[str, Any]:
    """Return the published configuration of an architecture."""
    return architecture(name).config().model_dump()


@cache
def _timm_architecture(timm_name: str) -> Architecture:
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
