"""Request, sweep file and data -> the frozen plan; nothing is started here."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput, unknown_name
from orchestrator.history import all_sweeps
from orchestrator.inspecting import architectures
from orchestrator.inspecting.architectures import image_views
from orchestrator.inspecting.data import find_data, prepare_data
from orchestrator.inspecting.machine import count_gpus
from orchestrator.inspecting.timm_models import resolve_timm
from orchestrator.plan import DataKind, DataSummary, SweepPlan, WarmPoint
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Space, defaults
from orchestrator.sweep_file import SweepFile
from orchestrator.sweep_request import LOCAL, SweepRequest
from orchestrator.sweep_sections import MOST, Search
from orchestrator.warm_start import WarmPoints, warm_points
from trainables.catalog import TASKS, Task, Weights, architecture, default_hyperparameters
from trainables.data.records import is_phantom
from trainables.evaluation.metrics import METRICS, ORDERED_METRICS, TWO_CLASS_METRICS

if TYPE_CHECKING:
    from orchestrator.tuning.cluster import Node
    from orchestrator.tuning.resources import Slots
    from trainables.data.decoding import Progress
    from trainables.data.prepare import PreparedData
    from trainables.data.views import View


@dataclass(frozen=True)
class PlannedSweep:
    """A frozen plan and what it was made from; nothing has been started."""

    plan: SweepPlan
    images: Path
    data: "PreparedData"
    slots: "Slots"
    nodes: "tuple[Node, ...]" = ()  # of the cluster; none where the sweep runs on this machine alone
    cards_mib: tuple[float, ...] = ()  # memory of each GPU of the nodes


def plan_sweep(request: SweepRequest, progress: "Progress") -> PlannedSweep:
    """Read the sweep file, then the data, and freeze the plan. Raises BadInput before anything is started."""
    request.load("quick")  # every fault of the file before torch is imported
    if request.metric is not None:
        check_metric_name(request.metric)
    slots, nodes = _room(request)
    gpus = slots.gpus
    file = with_budget(request.load(request.preset or ("full" if gpus else "quick")), request)
    task = TASKS[file.task]
    check_metric(request.metric, task)
    architectures.check_weights(file.architectures, pretrained=False)  # names are known before data are read
    file = file.model_copy(update={"architectures": resolve_timm(file.architectures)})
    folder, whence = find_data(task, request.data, request.data_root, request.home)
    views = image_views(file.architectures)
    data = _prepare(task, folder, whence, views, request, progress)
    kind = data_kind(data)
    random = file.preset == "quick" or kind == "phantom"
    weights: Weights = request.weights or ("random" if random else "pretrained")
    if weights == "pretrained":
        architectures.check_weights(file.architectures, pretrained=True)
    metric = request.metric or task.primary_metric
    warm = _warm_points(request, file, data.digest, kind, metric)
    plan = SweepPlan(
        sweep=file.name,
        task=file.task,
        classes=task.classes,
        data=summarise_data(data, kind, task.classes, request.folds),
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
        seeds=request.seeds,
        search=_with_points(file.search, warm),
        scheduler=file.scheduler,
        published_scores=file.published,
        warm_points=warm,
    )
    return PlannedSweep(plan, folder, data, slots, nodes)


def _room(request: SweepRequest) -> "tuple[Slots, tuple[Node, ...]]":
    """Return the slots of this machine, or those of a cluster's nodes."""
    if request.address == LOCAL:
        from orchestrator.tuning.resources import find_slots

        return find_slots(request.slots, count_gpus(), request.gpu_share), ()
    from orchestrator.tuning.cluster import attach
    from orchestrator.tuning.cluster_slots import slots_of_nodes

    nodes = tuple(attach(request.address))
    return slots_of_nodes(nodes, request.slots, request.gpu_share), nodes


def _warm_points(
    request: SweepRequest, file: SweepFile, digest: str, kind: DataKind, metric: str
) -> dict[str, tuple[WarmPoint, ...]]:
    """Return the points that the request has already, as of a sweep that is resumed, or those of earlier sweeps."""
    if not request.warm_start:
        return {}
    if file.search.algorithm in ("fixed", "grid"):
        raise BadInput(f"--warm-start: search.algorithm is {file.search.algorithm}, which tries its own points alone")
    if request.warm_points is not None:
        return dict(request.warm_points)
    return warm_points(all_sweeps(request.home)[0], file.task, kind, digest, metric, file.architectures)


def _with_points(search: Search, warm: WarmPoints) -> Search:
    """Return the search with the points that are tried after the defaults and the file's own."""
    points = {name: [*search.enqueue.get(name, []), *(dict(one.values) for one in own)] for name, own in warm.items()}
    return search.model_copy(update={"enqueue": {**search.enqueue, **points}})


def check_metric_name(metric: str) -> None:
    """Raise BadInput for a metric that does not exist."""
    if metric not in METRICS:
        raise BadInput(f"--metric: {unknown_name('metric', metric, METRICS)}")


def check_metric(metric: str | None, task: Task) -> None:
    """Raise BadInput for a metric that the task's classes cannot give."""
    way_out = f"leave the flag out for {task.primary_metric}, or take balanced_accuracy or mcc"
    if metric in TWO_CLASS_METRICS and len(task.classes) != 2:
        raise BadInput(f"--metric: {metric} is of two classes, {task.name} has {len(task.classes)}; {way_out}")
    if metric in ORDERED_METRICS and not task.severity:
        raise BadInput(f"--metric: {metric} is of classes in an order, those of {task.name} have none; {way_out}")


def _prepare(
    task: Task, folder: Path, whence: str, views: "list[View]", request: SweepRequest, progress: "Progress"
) -> "PreparedData":
    from trainables.data.sides import SplitRequest

    split = SplitRequest(kind=request.split, folds=request.folds, seed=child_seed(request.seed, SeedPath.SPLIT))
    who = f"sweep {Path(request.name).stem}"
    return prepare_data(task, folder, whence, views, split, request.home, who, progress)


def with_budget(file: SweepFile, request: SweepRequest) -> SweepFile:
    """Lay the budget that was asked for over the file's. Raises BadInput for one that cannot be."""
    for flag, count in (("--folds", request.folds), ("--seeds", request.seeds)):
        if count < 1:
            raise BadInput(f"{flag} {count}: expected a whole number of at least 1")
    given = {"trials": request.trials, "epochs": request.epochs, "finalists": request.finalists}
    for name, value in given.items():
        if value is not None and not 1 <= value <= MOST:
            raise BadInput(f"--{name} {str(value)[:20]}: expected a whole number from 1 to {MOST:,}")
    budget = {**given, "time_s": request.time_budget_s}
    if file.search.algorithm == "fixed":
        points = sum(
            len({tuple(point.items()) for point in file.search.enqueue.get(name, [])}) or 1
            for name in file.architectures
        )
        if request.trials is not None and request.trials > points:
            raise BadInput(
                f"--trials {request.trials}: search.algorithm is fixed, and there are {points} points to try"
            )
        budget["trials"] = request.trials or min(file.budget.trials, points)
    search = {"allocation": request.allocation or file.search.allocation}
    return file.model_copy(
        update={
            "budget": file.budget.model_copy(update={k: v for k, v in budget.items() if v is not None}),
            "search": file.search.model_copy(update=search),
        }
    )


def _is_published(name: str, space: Space, weights: Weights, epochs: int) -> bool:
    """Tell whether trial 0 is the published experiment to the letter: configuration, weights and epochs."""
    published = default_hyperparameters(name)
    unchanged = published | defaults(space) == published
    record = architecture(name)
    as_published = weights == "pretrained" or not record.backbones  # without backbones there is nothing to pretrain
    return unchanged and as_published and epochs == record.published_epochs


def data_kind(data: "PreparedData") -> DataKind:
    """Return whether the images are a phantom's: what is trained on those never stands under the real name."""
    return "phantom" if is_phantom(data.examined.data_set) else "real"


def summarise_data(data: "PreparedData", kind: DataKind, classes: tuple[str, ...], folds: int) -> DataSummary:
    """Return what a plan keeps of its data."""
    counts: dict[str, dict[str, int]] = {}
    for row in [*data.development.rows, *data.test.rows]:
        own = counts.setdefault(row.side, dict.fromkeys(classes, 0))
        own[classes[row.label]] += 1
    return DataSummary(
        kind=kind,
        digest=data.digest,
        split_digest=data.split_digest,
        test_digest=data.test_digest,
        split=data.split,
        grouped_by=data.examined.groups.grouped_by,
        folds=folds,
        images=counts,
        leaks=dict(sorted(Counter(row.leak for row in data.test.rows if row.leak).items())),
        unreadable=len(data.examined.unreadable),
        notes=data.notes,
    )
