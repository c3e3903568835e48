"""Task files: a user's own task in YAML -> a task as the project's own are; every fault with its file and key."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import BadInput, unknown_name
from orchestrator.yaml_file import read_yaml, shortened
from trainables.catalog import BRAIN_WINDOW_HU, LAYOUTS, SHIPPED_TASKS, Task, folded_class
from trainables.configs.timm_model import TIMM
from trainables.evaluation.metrics import METRICS, ORDERED_METRICS, TWO_CLASS_METRICS

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
CLASS_NAME = re.compile(r"[^\W\d_][\w.+-]*( [\w.+-]+)*")  # columns, metrics and folders are named after it
MOST_CLASSES, MOST_CLASS_CHARACTERS, MOST_IMAGES = 100, 40, 2
READERS: Mapping[str, str] = {  # layout -> reader; class folders may lie in folders of sides, whatever they are called
    "folders": "class_folders:read",
    "split folders": "class_folders:read",
    "parquet": "parquet_rows:read",
    "pairs": "paired_trees:read",
    "manifest": "manifest:read",
}
COLUMNS = ("path", "label", "patient_id", "split", "modality", "second_path")
KEYS = "task, layout and classes"  # that every file has
KNOWN_FOR_GOOD = ("layout", "classes", "image_names", "ct_window_hu")  # of what was trained under a name


class TaskFile(BaseModel):
    """What a task file may say; README's "Your own task" has each key with an example."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task: str
    layout: str
    classes: list[str]
    data: str = ""
    title: str = ""
    images: list[str] = []
    aliases: dict[str, str] = {}
    modality: Annotated[str, Field(max_length=40)] = "unknown"
    columns: dict[str, str] = {}
    patient_id_pattern: str = ""
    primary_metric: str = "auroc"
    severity: list[str] = []
    split_fractions: list[float] = [0.6, 0.2, 0.2]
    timm_models: list[str] = []
    ct_window_hu: list[float] = list(BRAIN_WINDOW_HU)


def read_task_file(path: Path) -> Task:
    """Return the task of a file; `data` in it is relative to the file's folder. Raises BadInput, a line per fault."""
    return task_of(path, read_yaml(path, KEYS))


def task_of(path: Path, values: Mapping[str, Any]) -> Task:
    """Return the task of a file that was read. Raises BadInput, a line per fault."""
    try:
        given = TaskFile.model_validate(values)
    except ValidationError as error:
        raise BadInput("\n".join(_said(path, fault) for fault in error.errors())) from None
    faults = list(_faults(given))
    if faults:
        raise BadInput("\n".join(f"{path.name}: {key}: {message}" for key, message in faults))
    images = tuple(given.images) or (("CT", "MRI") if given.layout == "pairs" else ("image",))
    first, second, third = given.split_fractions
    return Task(
        name=given.task,
        title=given.title or f"{' or '.join(given.classes)}, from {path.name}",
        classes=tuple(given.classes),
        layout=f"{LAYOUTS}.{READERS[given.layout]}",
        primary_metric=given.primary_metric,
        image_names=images,
        aliases=given.aliases,
        modality=given.modality,
        split_fractions=(first, second, third),
        severity=tuple(given.severity),
        timm_models=tuple(given.timm_models),
        columns=given.columns,
        patient_id_pattern=given.patient_id_pattern,
        data=_whole(path, given.data),
        ct_window_hu=(given.ct_window_hu[0], given.ct_window_hu[1]),
    )


def _whole(path: Path, data: str) -> str:
    """Return where the images are, from whatever folder the file is named."""
    try:
        return str(path.absolute().parent / Path(data).expanduser()) if data else ""
    except RuntimeError as error:  # nobody's home
        raise BadInput(f"{path.name}: data: {data}: {error}") from error


def _said(path: Path, fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{path.name}: {where}: {unknown_name('key', str(fault['loc'][-1]), TaskFile.model_fields)}"
    if fault["type"] == "missing":
        return f"{path.name}: {where}: missing; a task file needs {KEYS}"
    message = fault["msg"].removeprefix("Input ").replace("should be", "must be")
    return f"{path.name}: {where}: {message}, got {shortened(fault['input'])}"


def _faults(given: TaskFile) -> list[tuple[str, str]]:
    """Return what is wrong with values that are of the right kind."""
    found = [*_of_name(given.task), *_of_classes(given.classes), *_of_images(given), *_of_metric(given)]
    if given.layout not in READERS:
        found.append(("layout", unknown_name("layout", given.layout, READERS)))
    for spelling, name in given.aliases.items():
        if name not in given.classes:
            found.append((f"aliases.{spelling}", unknown_name("class", name, given.classes)))
    if given.severity and sorted(given.severity) != sorted(given.classes):
        found.append(("severity", f"expected every class once, the least severe first: {', '.join(given.classes)}"))
    for column in given.columns:
        if column not in COLUMNS:
            found.append((f"columns.{column}", unknown_name("column", column, COLUMNS)))
    parts = given.split_fractions
    if len(parts) != 3 or not (min(parts) > 0 and abs(sum(parts) - 1) <= 1e-6):  # nan is neither
        found.append(("split_fractions", "expected three shares above 0 for training, validation and test, 1 in all"))
    window = given.ct_window_hu
    if len(window) != 2 or not (all(map(math.isfinite, window)) and window[1] > 0):
        found.append(("ct_window_hu", "expected level and width in HU, the width above 0, such as [40, 80]"))
    for name in given.timm_models:
        if not re.fullmatch(rf"{TIMM}\w[\w.-]*", name):
            found.append(("timm_models", f"expected names such as {TIMM}resnet18, got {shortened(name)}"))
    return [*found, *_of_pattern(given.patient_id_pattern)]


def _of_name(name: str) -> list[tuple[str, str]]:
    if name in SHIPPED_TASKS:
        return [("task", f"{name!r} is a task of this project; give yours another name")]
    if not NAME.fullmatch(name) or name.endswith("_phantom"):
        rule = "expected up to 40 small letters, digits and underscores, a letter first, and no _phantom at the end"
        return [("task", f"{shortened(name)}: {rule}")]
    return []


def _of_classes(classes: Sequence[str]) -> list[tuple[str, str]]:
    if not 2 <= len(classes) <= MOST_CLASSES:
        return [("classes", f"expected 2 to {MOST_CLASSES} names, got {len(classes)}")]
    folded = [folded_class(name) for name in classes]
    for place, name in enumerate(classes):
        if not CLASS_NAME.fullmatch(name) or len(name) > MOST_CLASS_CHARACTERS:
            rule = f"expected up to {MOST_CLASS_CHARACTERS} letters, digits, spaces and . + - _, a letter first"
            return [(f"classes.{place}", f"{shortened(name)}: {rule}; other spellings in the data are aliases")]
        if folded.index(folded[place]) != place:
            return [(f"classes.{place}", f"{name!r} is read as {classes[folded.index(folded[place])]!r} is")]
    return []


def _of_images(given: TaskFile) -> list[tuple[str, str]]:
    if len(given.images) > MOST_IMAGES:
        return [("images", f"a case has {MOST_IMAGES} images at most, got {len(given.images)}")]
    if len({name.casefold() for name in given.images}) < len(given.images):
        return [("images", "expected two different names")]
    if any(not re.fullmatch(r"[^\W\d_]\w{0,19}", name) for name in given.images):
        return [("images", "expected names of up to 20 letters, digits and underscores, a letter first")]
    if given.layout == "pairs" and given.images and [name.upper() for name in given.images] != ["CT", "MRI"]:
        return [("images", "layout pairs finds trees named CT and MRI; list other pairs in a manifest")]
    if len(given.images) == MOST_IMAGES and given.layout not in ("pairs", "manifest"):
        return [("images", f"layout {given.layout} has one image per case; list pairs in a manifest")]
    return []


def _of_metric(given: TaskFile) -> list[tuple[str, str]]:
    metric = given.primary_metric
    if metric not in METRICS:
        return [("primary_metric", unknown_name("metric", metric, METRICS))]
    if metric in TWO_CLASS_METRICS and len(given.classes) != 2:
        return [("primary_metric", f"{metric} is of two classes, there are {len(given.classes)}")]
    if metric in ORDERED_METRICS and not given.severity:
        return [("primary_metric", f"{metric} is of classes in an order; say it: severity: [...]")]
    return []


def _of_pattern(pattern: str) -> list[tuple[str, str]]:
    try:
        groups = re.compile(pattern).groups if pattern else 1
    except (re.error, OverflowError, RecursionError) as error:
        return [("patient_id_pattern", f"is no regular expression ({error})")]
    return [] if groups == 1 else [("patient_id_pattern", "expected one group (...): the patient in an image's path")]
