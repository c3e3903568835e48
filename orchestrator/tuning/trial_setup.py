"""What every trial of a sweep shares: written once by the driver, read by each actor. Holds no path to test images."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestrator.space import Scalar


class TrialSetup(BaseModel):
    """Data, budget and device of all trials of one sweep."""

    model_config = ConfigDict(frozen=True)

    development: Path  # CSV of rows, in the order of the arrays
    arrays: dict[int, Path]  # side_px -> decoded development images
    num_classes: int
    pretrained: bool
    epochs: int
    metric: str
    device: str
    threads: int
    trials: Path  # folder of the trials' folders

    def trial_folder(self, number: int) -> Path:
        """Return the folder of one trial."""
        return self.trials / f"{number:04d}"


class TrialConfig(BaseModel):
    """What Ray Tune carries to an actor: one trial of the sweep."""

    model_config = ConfigDict(frozen=True)

    trial: int
    architecture: str
    hyperparameters: dict[str, Scalar]
    seed: int
    published: bool
    setup: Path  # JSON of TrialSetup
