"""The record of an architecture: what the rest of the project knows of it. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables.configs.training import TrainingConfig
from trainables.explain.explainers import BranchPair, CrossAttention, Explainer


@dataclass(frozen=True)
class Architecture:
    """A model family: its schema, the dotted path of its builder, and the fields that name timm backbones.

    `smoke` is a configuration small enough to build, train and export within seconds; `published_epochs` is None where
    no project published the defaults; `explainers` are what shows why it said so, the first one best; `pair` are
    two of them whose branches are compared; `channel_gates` is the path of a layer that gives a weight per channel;
    `image_names` are those of a case's images in the model's order; `cross` is how two of them attend to each other.
    """

    name: str
    config: type[TrainingConfig]
    builder: str
    backbones: tuple[str, ...]
    published_epochs: int | None
    source: str
    smoke: Mapping[str, Any] = field(hash=False)
    explainers: tuple[Explainer, ...] = (Explainer(name="model", shows="where the image speaks for the class"),)
    pair: BranchPair | None = None
    channel_gates: str = ""
    image_names: tuple[str, ...] = ("image",)
    cross: CrossAttention | None = None

    @property
    def images_per_case(self) -> int:
        """Return how many images the model takes."""
        return len(self.image_names)
