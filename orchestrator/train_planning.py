"""A request for one training -> what decides its result; nothing is trained here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cache_upkeep import MAX_CACHE_BYTES
from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import Home
from orchestrator.inspecting.architectures import check_architecture, check_weights, image_views
from orchestrator.inspecting.data import find_data, prepare_data
from orchestrator.inspecting.machine import count_gpus
from orchestrator.inspecting.timm_models import resolve_timm
from orchestrator.plan import DataSummary
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Fixed, Space, SpaceFaults, defaults, parse_space
from orchestrator.sweep_file import known_architecture, misfit
from orchestrator.sweep_planning import check_metric, check_metric_name, data_kind, summarise_data
from orchestrator.yaml_file import parse_yaml
from trainables.catalog import TASKS, Task, Weights, default_hyperparameters
from trainables.configs.record import Architecture

if TYPE_CHECKING:
    from trainables.data.decoding import Progress
    from trainables.data.prepare import PreparedData
    from trainables.data.sides import SplitKind
    from trainables.data.views import View

MOST_EPOCHS = 1_000_000
EPOCHS = 10  # where no project published how many
SETTINGS = "training.json"
PART = ".part"  # the suffix of a file that is not whole yet
_COMPARED = ("architecture", "task", "weights", "weights_digest", "seed", "metric", "device")
_OTHER = {"data": "other data or another split", "weights_digest": "other weights of the same file name"}


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What the user asked for; None means that the architecture, the task or the machine decides."""

    architecture: str
    task: str
    home: Home
    task_text: str = ""  # of the user's own task file, which the home keeps once its data are read
    data: str | None = None
    data_root: Path | None = None
    epochs: int | None = None
    seed: int = 0
    metric: str | None = None
    weights: Weights | Path | None = None
    split: "SplitKind | None" = None
    test: bool = False
    out: Path | None = None
    resume: bool = False
    max_cache_bytes: int = MAX_CACHE_BYTES
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedTraining:
    """All that decides the result, and where it is written."""

    architecture: str
    task: Task
    hyperparameters: dict[str, Any]
    weights: Weights | Path
    seed: int
    epochs: int
    metric: str
    device: str
    threads: int
    data: "PreparedData"
    summary: DataSummary
    folder: Path


def plan_training(request: TrainRequest, progress: "Progress") -> PlannedTraining:
    """Check names and settings, then the data, then train one batch. Raises BadInput; nothing is written before."""
    task, record, space = _checked(request)
    _check_folder(request)
    check_weights({record.name: space}, pretrained=False)
    spaces = resolve_timm({record.name: space})
    data = _prepare(request, task, image_views(spaces), progress)
    kind = data_kind(data)
    weights = request.weights or ("random" if kind == "phantom" or not record.backbones else "pretrained")
    if weights == "pretrained":
        check_weights(spaces, pretrained=True)
    from orchestrator.tuning.resources import find_slots

    slots = find_slots(1, min(1, count_gpus()))
    own = spaces[record.name]
    file = weights if isinstance(weights, Path) else None
    check_architecture(record.name, own, task.classes, weights == "pretrained", data.development, slots.device, file)
    planned = PlannedTraining(
        architecture=record.name,
        task=task,
        hyperparameters=default_hyperparameters(record.name) | defaults(own),
        weights=weights,
        seed=request.seed,
        epochs=request.epochs or _begun_with(request, "epochs") or record.published_epochs or EPOCHS,
        metric=request.metric or task.primary_metric,
        device=slots.device,
        threads=_begun_with(request, "threads") or slots.threads,  # another number rounds sums differently
        data=data,
        summary=summarise_data(data, kind, task.classes, folds=1),
        folder=request.out.absolute() if request.out else request.home.training_folder(f"{task.name}-{record.name}"),
    )
    if request.resume:
        _check_same(planned)
    _open_folder(planned)
    return planned


def settings_of(planned: PlannedTraining) -> dict[str, Any]:
    """Return all that decides the result, as training.json has it."""
    from trainables.data.cache import digest_file

    file = planned.weights if isinstance(planned.weights, Path) else None
    return {
        "architecture": planned.architecture,
        "task": planned.task.name,
        "hyperparameters": planned.hyperparameters,
        "weights": file.name if file else planned.weights,
        "weights_digest": digest_file(file) if file else None,
        "seed": planned.seed,
        "epochs": planned.epochs,
        "metric": planned.metric,
        "device": planned.device,
        "data": planned.summary.model_dump(mode="json"),
    }


def _begun_with(request: TrainRequest, key: str) -> int | None:
    """Return a number that a training which goes on was begun with; _check_same tells of a damaged file."""
    if not request.resume or request.out is None:
        return None
    try:
        number = json.loads((request.out / SETTINGS).read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None


def _check_same(planned: PlannedTraining) -> None:
    """Raise BadInput where the folder holds a training of other settings or data; more epochs are no other setting."""
    path = planned.folder / SETTINGS
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        known = before["hyperparameters"] | {"data": before["data"]["split_digest"]}
        known |= {key: before[key] for key in _COMPARED} | {"epochs": before["epochs"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"--out {path}: is damaged; name a new folder") from error
    now = settings_of(planned)
    asked = planned.hyperparameters | {key: now[key] for key in _COMPARED} | {"data": planned.summary.split_digest}
    for key, value in asked.items():
        if known.get(key) != value:
            what = _OTHER.get(key) or f"{key}={known.get(key)}, not {value}"
            raise BadInput(f"--resume: {planned.folder.name} was begun with {what}; name a new folder for those")
    if planned.epochs < known["epochs"]:
        raise BadInput(
            f"--epochs {planned.epochs}: {planned.folder.name} was begun with {known['epochs']}; more can follow, not "
            "fewer"
        )
    schedule = planned.hyperparameters["lr_schedule"]
    if schedule in ("cosine", "onecycle") and known["epochs"] != planned.epochs:
        raise BadInput(
            f"--epochs {planned.epochs}: with lr_schedule={schedule} the rate ends after the {known['epochs']} epochs "
            f"that were planned; say --epochs {known['epochs']}, or begin anew with more"
        )


def _checked(request: TrainRequest) -> tuple[Task, Architecture, Space]:
    """Return what the names and settings of a request mean. Raises BadInput, one line per fault."""
    if request.task not in TASKS:
        raise BadInput(f"--task: {unknown_name('task', request.task, TASKS)}")
    task, record = TASKS[request.task], known_architecture(request.architecture)
    why = misfit(record, task)
    if why:
        raise BadInput(f"{record.name}: {why}")
    if request.metric is not None:
        check_metric_name(request.metric)
    check_metric(request.metric, task)
    if request.epochs is not None and not 1 <= request.epochs <= MOST_EPOCHS:
        raise BadInput(f"--epochs {str(request.epochs)[:20]}: expected a whole number from 1 to {MOST_EPOCHS}")
    if isinstance(request.weights, Path) and not request.weights.is_file():
        raise BadInput(f"--weights {request.weights}: no such file; say pretrained, random or a .safetensors file")
    raw = {key: parse_yaml(f"--set {key}", text) for key, text in request.overrides.items()}
    try:
        space = parse_space(raw, record.config)
    except SpaceFaults as error:
        lines = [f"--set {key}: {message}" if key else f"--set: {message}" for key, message in error.faults]
        raise BadInput("\n".join(lines)) from None
    for name, parameter in space.items():
        if not isinstance(parameter, Fixed):
            raise BadInput(f"--set {name}: one value is trained, not a range; a sweep searches")
    return task, record, space


def _check_folder(request: TrainRequest) -> None:
    out = request.out
    if out is None:
        if request.resume:
            raise BadInput("--resume: say --out with the folder that the interrupted training named")
    elif request.resume and not (out / SETTINGS).is_file():
        raise BadInput(f"--out {out}: holds no training; leave --resume out to begin one there")
    elif not request.resume and out.exists() and not _empty(out):
        raise BadInput(f"--out {out}: exists already; name a new folder, or add --resume to go on there")


def _empty(out: Path) -> bool:
    """Tell whether a training may begin there; one that died before its first whole file left nothing that counts."""
    return out.is_dir() and all(path.suffix == PART for path in out.iterdir())


def _open_folder(planned: PlannedTraining) -> None:
    try:
        planned.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out {planned.folder}: {error.strerror}; name a folder that can be written") from error


def _prepare(request: TrainRequest, task: Task, views: "list[View]", progress: "Progress") -> "PreparedData":
    from trainables.data.sides import SplitRequest

    folder, whence = find_data(task, request.data, request.data_root, request.home)
    split = SplitRequest(kind=request.split, folds=1, seed=child_seed(request.seed, SeedPath.SPLIT))
    return prepare_data(task, folder, whence, views, split, request.home, f"train {request.architecture}", progress)
