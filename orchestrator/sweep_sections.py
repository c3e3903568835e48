"""The sections of a sweep file beside its search spaces: budget, search, scheduler, published scores."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.space import Scalar

Preset = Literal["quick", "full"]
PRESETS: tuple[Preset, ...] = ("quick", "full")
Allocation = Literal["equal", "adaptive"]
ALLOCATIONS: tuple[Allocation, ...] = ("equal", "adaptive")


class Section(BaseModel):
    """A part of a sweep file; unknown keys and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


MOST = 1_000_000  # trials, epochs: a slip of the keyboard is no budget


class Budget(Section):
    """How much is tried: trials in all, epochs per trial at most, finalists that see the test set.

    `time_s`: no trial begins later, and those that train end with their running epoch. `checkpoint_every_epochs`: the
    weights after every so many epochs are kept of finalists; 0: the best epoch's alone. `epoch_timeout_s`: an epoch
    that takes longer is hanging and ends its trial; 0: ten times the usual one.
    """

    trials: Annotated[int, Field(ge=1, le=MOST)] = 20
    epochs: Annotated[int, Field(ge=1, le=MOST)] = 30
    finalists: Annotated[int, Field(ge=1, le=MOST)] = 3
    time_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    checkpoint_every_epochs: Annotated[int, Field(ge=0, le=MOST)] = 0
    epoch_timeout_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Search(Section):
    """Which Optuna sampler proposes configurations, and for whom.

    `allocation`: equal gives each architecture the same number of trials, a study and a rule of its own; adaptive lets
    one study choose the architecture too. `enqueue`: by architecture, points that are tried after the defaults.
    `fixed` tries nothing but those points and the published settings, of an architecture without any its defaults.
    """

    algorithm: Literal["tpe", "random", "gp", "cmaes", "grid", "fixed"] = "tpe"
    allocation: Allocation = "equal"
    enqueue: dict[str, list[dict[str, Scalar]]] = {}


class Scheduler(Section):
    """Which trials are stopped early; epochs are the unit."""

    name: Literal["asha", "hyperband", "median", "none"] = "asha"
    grace_epochs: Annotated[int, Field(ge=1, le=MOST)] = 1
    reduction_factor: Annotated[int, Field(ge=2, le=MOST)] = 3


class PublishedScore(Section):
    """What was published of one model; `settings` are by what it differs from its architecture's defaults."""

    name: str
    architecture: str
    score: Annotated[float, Field(allow_inf_nan=False)]
    settings: dict[str, Scalar] = {}


class Published(Section):
    """Scores on a test set as others published them; they stand beside those of the trials that repeat them here."""

    source: Annotated[str, Field(max_length=200)] = ""
    metric: str = "accuracy"
    images: Annotated[int, Field(ge=0, le=MOST)] = 0  # in that test set; 0: not told
    scores: list[PublishedScore] = []


SECTIONS: Mapping[str, type[Section]] = {
    "budget": Budget,
    "search": Search,
    "scheduler": Scheduler,
    "published": Published,
}
