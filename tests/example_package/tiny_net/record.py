"""What the project knows of it: hyperparameters with their defaults, and what explains its answers."""

from trainables.configs.record import Architecture
from trainables.configs.training import TrainingConfig
from trainables.explain.explainers import Explainer


class TinyNetConfig(TrainingConfig):
    lr: float = 3e-3
    image_px: int = 48
    width: int = 16


RECORD = Architecture(
    name="tiny_net",
    config=TinyNetConfig,
    builder="tiny_net.network:build",
    backbones=(),
    published_epochs=None,
    source="an example",
    smoke={"image_px": 32, "width": 4},
    explainers=(Explainer("gradcam", "features.-1", "last ReLU", "where the last activations speak for the class"),),
)
