"""What every trial of a sweep shares: written once by the driver, read by each actor. Holds no path to test images."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from orchestrator.journal import Over
from orchestrator.object_store import ObjectStore
from orchestrator.space import Scalar
from orchestrator.sweep_state import TrialState
from trainables.catalog import SHIPPED_TASKS, TASKS, Task

FILE = "trial_setup.json"


def trial_folder(trials: Path, number: int) -> Path:
    """Return the folder of one trial below that of all."""
    return trials / f"{number:04d}"


class TrialSetup(BaseModel):
    """Data, budget and device of all trials of one sweep."""

    model_config = ConfigDict(frozen=True)

    task: str
    own_task: Task | None = None  # the user's own, which no other process knows by its name
    development: Path  # CSV of rows, in the order of the arrays
    development_digest: str
    arrays: dict[str, Path]  # name of the view -> decoded development images, on the driver's machine
    code_digest: str = ""  # of the driver's code, where nodes may have another
    array_digests: dict[str, str] = {}  # of them, where trials run on other machines too, which may lack them
    pretrained: bool
    epochs: int
    metric: str
    device: str
    threads: int
    trials: Path  # folder of the trials' folders
    weights: Path | None = None  # safetensors to begin from, instead of pretrained or random ones
    keep_state_s: float | None = None  # this and the next two: see TrainingRun
    state_wanted: Path | None = None
    keep_every_epochs: int = 0
    epoch_timeout_s: float = 0.0  # an epoch that takes longer is hanging; 0: ten times the usual one
    forecast_epoch_s: dict[str, float] = {}  # by architecture, before an epoch has ended
    witness: bool = False  # each actor writes down by itself what it trained: how tests know what was lost
    store: str = ""  # address of the sweep in an object store, where it is in one
    token: str = ""  # of this writing of it
    is_elsewhere: bool = False  # this node has none of the driver's folders

    @property
    def file(self) -> Path:
        """Return where the driver has it."""
        return self.trials.parent / FILE

    def images(self, view: str) -> Path:
        """Return where this machine has the decoded development images of a view; a cluster's node fetches them."""
        if not self.array_digests:
            return self.arrays[view]
        from orchestrator.tuning.shipping import on_this_node

        return on_this_node(self.arrays[view], self.array_digests[view])

    @property
    def task_record(self) -> Task:
        """Return what is predicted."""
        return self.own_task or TASKS[self.task]

    def trial_folder(self, config: "TrialConfig") -> Path:
        """Return the folder of one trial, or of a finalist that is trained again."""
        folder = trial_folder(self.trials, config.trial)
        return folder / f"{config.over}-{config.index + 1}" if config.is_again else folder


def own_task(name: str) -> Task | None:
    """Return a task that is the user's own, None where it is one of the project's."""
    return None if name in SHIPPED_TASKS else TASKS[name]


def read_setup(where: str) -> TrialSetup:
    """Return the setup that is at a path, or at an address of an object store. Raises StoreFault."""
    if "://" not in where:
        return TrialSetup.model_validate_json(Path(where).read_text())
    folder, _, name = where.rpartition("/")
    return TrialSetup.model_validate_json(ObjectStore(folder).read(name) or b"")


def setup_for_nodes(file: Path, store: str) -> str:
    """Return where the processes of trials read a file that the driver wrote; `store`: the sweep's, if it has one."""
    return f"{store}/{file.name}" if store else str(file)


class TrialConfig(BaseModel):
    """What Ray Tune carries to an actor: one trial of the sweep."""

    model_config = ConfigDict(frozen=True)

    trial: int
    architecture: str
    hyperparameters: dict[str, Scalar]
    seed: int
    published: bool
    setup: Annotated[str, BeforeValidator(str)]  # path or address of TrialSetup
    over: Over = "fold"  # what a finalist is trained again over, and its place there
    index: int = 0  # fold 0 is the search's own training, seed 0 is not
    known_epochs: int = 0  # that the journal holds already
    best_epoch: int = 0  # of a finalist: lost weights are trained again up to it

    @property
    def is_again(self) -> bool:
        """Tell whether it is another training than the search's own, whose files it must leave alone."""
        return self.over == "seed" or self.index > 0

    @classmethod
    def of(cls, trial: TrialState, setup: Path | str) -> "TrialConfig":
        """Return what is needed to train a trial of the journal from its first epoch on."""
        return cls(
            trial=trial.number,
            architecture=trial.architecture,
            hyperparameters=trial.hyperparameters,
            seed=trial.seed,
            published=trial.published,
            setup=str(setup),
        )
