"""Request, sweep file and data -> the frozen plan; nothing is started here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import inspecting
from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.plan import DataKind, DataSummary, SweepPlan
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Space, defaults
from orchestrator.sweep_file import Preset, SweepFile, find_sweep_file, load_sweep_file
from trainables.catalog import ARCHITECTURES, TASKS, Weights, default_hyperparameters
from trainables.data.records import PHANTOM_MARK
from trainables.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from orchestrator.tuning.resources import Slots
    from trainables.data.cache import Progress
    from trainables.data.prepare import PreparedData


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What the user asked for; None means that the sweep file or the machine decides."""

    name: str
    home: Home
    data: str | None = None
    data_root: Path | None = None
    tracking_uri: str | None = None
    preset: Preset | None = None
    architectures: tuple[str, ...] = ()
    trials: int | None = None
    epochs: int | None = None
    finalists: int | None = None
    seed: int = 0
    slots: int | None = None
    metric: str | None = None
    weights: Weights | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedSweep:
    """A frozen plan and what it was made from; nothing has been started."""

    plan: SweepPlan
    data: "PreparedData"
    slots: "Slots"


def plan_sweep(request: SweepRequest, progress: "Progress") -> PlannedSweep:
    """Read the sweep file, then the data, and freeze the plan. Raises BadInput before anything is started."""
    path = find_sweep_file(request.name)
    load_sweep_file(path, "quick", request.overrides)  # every fault of the file before torch is imported
    if request.metric is not None and request.metric not in METRICS:
        raise BadInput(f"--metric: {unknown_name('metric', request.metric, METRICS)}")
    from orchestrator.tuning.resources import find_slots

    find_slots(request.slots, 0)
    gpus = inspecting.count_gpus()
    file = _resolve(load_sweep_file(path, request.preset or ("full" if gpus else "quick"), request.overrides), request)
    task = TASKS[file.task]
    folder, whence = inspecting.find_data(task, request.data, request.data_root, request.home)
    seed = child_seed(request.seed, SeedPath.SPLIT)
    sides_px = inspecting.image_sides(file.architectures)
    data = inspecting.prepare_data(task, folder, whence, sides_px, request.home.cache, seed, progress)
    kind: DataKind = "phantom" if (data.root / PHANTOM_MARK).is_file() else "real"
    random = file.preset == "quick" or kind == "phantom"
    weights: Weights = request.weights or ("random" if random else "pretrained")
    inspecting.check_weights(file.architectures, weights == "pretrained")
    metric = request.metric or task.primary_metric
    plan = SweepPlan(
        sweep=file.name,
        task=file.task,
        classes=task.classes,
        data=_summary(data, kind, task.classes),
        preset=file.preset,
        weights=weights,
        seed=request.seed,
        metric=metric,
        direction=METRICS[metric],
        architectures=file.architectures,
        published={
            name: _is_published(name, space, weights, file.budget.epochs) for name, space in file.architectures.items()
        },
        budget=file.budget,
        search=file.search,
        scheduler=file.scheduler,
    )
    return PlannedSweep(plan, data, find_slots(request.slots, gpus))


def _resolve(file: SweepFile, request: SweepRequest) -> SweepFile:
    """Lay the command line's budget and choice of architectures over the file."""
    for name in request.architectures:
        if name not in file.architectures:
            raise BadInput(f"--architectures: {unknown_name('architecture of this sweep', name, file.architectures)}")
    given = {"trials": request.trials, "epochs": request.epochs, "finalists": request.finalists}
    for name, value in given.items():
        if value is not None and value < 1:
            raise BadInput(f"--{name} {value}: expected a whole number of at least 1")
    chosen = request.architectures or tuple(file.architectures)
    return file.model_copy(
        update={
            "architectures": {name: file.architectures[name] for name in chosen},
            "budget": file.budget.model_copy(update={k: v for k, v in given.items() if v is not None}),
        }
    )


def _is_published(name: str, space: Space, weights: Weights, epochs: int) -> bool:
    """Tell whether trial 0 is the published experiment to the letter: configuration, weights and epochs."""
    published = default_hyperparameters(name)
    unchanged = published | defaults(space) == published
    return unchanged and weights == "pretrained" and epochs == ARCHITECTURES[name].published_epochs


def _summary(data: "PreparedData", kind: DataKind, classes: tuple[str, ...]) -> DataSummary:
    counts: dict[str, dict[str, int]] = {}
    for row in [*data.development.rows, *data.test.rows]:
        own = counts.setdefault(row.side, dict.fromkeys(classes, 0))
        own[classes[row.label]] += 1
    return DataSummary(
        kind=kind,
        digest=data.digest,
        split_digest=data.split_digest,
        grouped_by="patient" if data.has_patients else "image",
        images=counts,
        unreadable=len(data.unreadable),
    )
