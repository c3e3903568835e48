"""What there is: tasks, architectures and their hyperparameters, as records that import without torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import Any, Literal

from trainables import configs
from trainables.configs.record import Architecture
from trainables.configs.timm_model import TIMM, timm_record
from trainables.errors import ArchitectureError

Weights = Literal["pretrained", "random"]
BRAIN_WINDOW_HU = (40.0, 80.0)  # level and width: 0 to 80 HU, in which a head is read
ENTRY_POINTS = "orchestrator.architectures"  # what a package declares to bring some


@dataclass(frozen=True)
class Task:
    """What is predicted; `layout` is the dotted path of the reader of its data folder.

    `image_names` are those of a case's images; `aliases` are other spellings of classes in folders, columns and
    metadata (case and punctuation never matter); `modality` is that of every case where the layout does not tell it;
    `split_fractions` (training, validation, test) hold where the set ships no test side; `severity` names the classes
    from least to most severe, where they have an order. `timm_models` (names `timm/...`) are tried beside the
    architectures of sweep files where a sweep is of the whole task. Of a user's own task: `columns` are what its tables
    call theirs (known name -> theirs), `patient_id_pattern` is a regular expression whose first group is the patient in
    an image's path, `data` is where its images are. `ct_window_hu` is the level and the width of the window in which CT
    in DICOM files is seen.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    layout: str
    primary_metric: str = "auroc"
    image_names: tuple[str, ...] = ("image",)
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    modality: str = "unknown"
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    severity: tuple[str, ...] = ()
    timm_models: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    patient_id_pattern: str = ""
    data: str = ""
    ct_window_hu: tuple[float, float] = BRAIN_WINDOW_HU

    @property
    def images_per_case(self) -> int:
        """Return how many images a case has."""
        return len(self.image_names)

    @property
    def severity_K(self) -> tuple[int, ...]:  # noqa: N802
        """Return each class's rank by severity, 0 the least; empty where the classes have no order."""
        return tuple(self.severity.index(name) for name in self.classes) if self.severity else ()


LAYOUTS = "trainables.data.layouts"
_TASKS: dict[str, Task] = {
    "stroke": Task(
        name="stroke",
        title="Stroke or not, from a CT or MR slice of the head",
        classes=("normal", "stroke"),
        layout=f"{LAYOUTS}.stroke_folders:read",
        aliases={"control": "normal"},
    ),
    "tumor_binary": Task(
        name="tumor_binary",
        title="Brain tumour or not, from an MR slice",
        classes=("no", "yes"),
        layout=f"{LAYOUTS}.class_folders:read",
        aliases={"no tumor": "no", "healthy": "no", "normal": "no", "tumor": "yes"},
        modality="MR",
    ),
    "tumor_4class": Task(
        name="tumor_4class",
        title="Glioma, meningioma, pituitary tumour or none, from an MR slice",
        classes=("glioma", "meningioma", "notumor", "pituitary"),
        layout=f"{LAYOUTS}.class_folders:read",
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
        layout=f"{LAYOUTS}.parquet_rows:read",
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
        layout=f"{LAYOUTS}.paired_trees:read",
        image_names=("CT", "MRI"),
        aliases={"normal": "healthy", "no tumor": "healthy"},
        modality="CT+MR",
        split_fractions=(0.7, 0.15, 0.15),
    ),
}
TASKS: Mapping[str, Task] = _TASKS
SHIPPED_TASKS = tuple(_TASKS)


def folded_class(text: str) -> str:
    """Return a spelling of a class as it is compared: case and punctuation never matter."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def add_task(task: Task) -> None:
    """Let a user's own task be known by its name in this process. Raises ValueError for the name of a shipped one."""
    if task.name in SHIPPED_TASKS:
        raise ValueError(f"{task.name}: is a task of this project")
    _TASKS[task.name] = task


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _own_records() -> tuple[dict[str, Architecture], dict[str, str], dict[str, str]]:
    """Return the records of every file of `trainables.configs`, what is wrong with others, and which have none: why.

    The last are no faults, as files share others, until one of them is asked for as an architecture. One that cannot
    be read keeps no command from running: what it would bring is not there, and asking for it says why.
    """
    records: dict[str, Architecture] = {}
    faults: dict[str, str] = {}
    without: dict[str, str] = {}
    for found in iter_modules(configs.__path__):
        file = f"{configs.__name__.replace('.', '/')}/{found.name}.py"
        try:
            module = import_module(f"{configs.__name__}.{found.name}")
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a file in the making does
            faults[found.name] = f"{file} cannot be read: {_one_line(error)}"
            continue
        own = [*getattr(module, "RECORDS", ()), *([module.RECORD] if hasattr(module, "RECORD") else [])]
        if not own:
            without[found.name] = f"{file} has no RECORD (CONTRIBUTING.md says what that is)"
        for record in own:
            if not isinstance(record, Architecture):
                faults[found.name] = f"{file} has a RECORD that is no Architecture (CONTRIBUTING.md says what that is)"
                continue
            if record.name in records:
                faults[found.name] = f"{file} has a record {record.name!r}, as another file has"
            records.setdefault(record.name, record)
    return records, faults, without


ARCHITECTURES: Mapping[str, Architecture]
ARCHITECTURES, RECORD_FAULTS, _WITHOUT_RECORD = _own_records()


def architecture_names() -> list[str]:
    """Return the names of this project's architectures, then of those that installed packages bring."""
    return [*ARCHITECTURES, *(name for name in _entry_points() if name not in ARCHITECTURES)]


def taken_names() -> list[str]:
    """Return a line for each architecture of an installed package that has the name of one of this project's."""
    points = [point for point in _entry_points().values() if point.name in ARCHITECTURES]
    return [f"architecture {point.name}: {_whose(point)} is passed over, as this project has one" for point in points]


def architecture(name: str) -> Architecture:
    """Return the record of an architecture; `timm/<name>` needs no entry, whether timm knows it is not asked here.

    Raises KeyError for a name that nobody brings, ArchitectureError for one that cannot be used.
    """
    if re.fullmatch(rf"{TIMM}\w[\w.-]*", name):
        return timm_record(name.removeprefix(TIMM))
    if name not in ARCHITECTURES and name in (why := RECORD_FAULTS | _WITHOUT_RECORD):
        raise ArchitectureError(why[name])
    record = ARCHITECTURES[name] if name in ARCHITECTURES else _installed(_entry_points()[name])
    open_fields = [key for key, field in record.config.model_fields.items() if field.is_required()]
    if open_fields:
        raise ArchitectureError(
            f"architecture {name}: {record.config.__name__}.{open_fields[0]} has no default; each field needs one, "
            "which is what the first trial has"
        )
    return record


def default_hyperparameters(name: str) -> dict[str, Any]:
    """Return the published configuration of an architecture."""
    return architecture(name).config().model_dump()


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


@cache
def _installed(point: EntryPoint) -> Architecture:
    """Return the record that an entry point names."""
    where = f"architecture {point.name}: {_whose(point)}"
    try:
        record = point.load()
    except (Exception, SystemExit) as error:  # the package's own code may raise anything
        raise ArchitectureError(f"{where} cannot be loaded: {_one_line(error)}") from error
    if not isinstance(record, Architecture):
        raise ArchitectureError(f"{where} is not an Architecture (CONTRIBUTING.md says how)")
    if record.name != point.name:
        raise ArchitectureError(f"{where} is called {record.name!r} by its record: name the entry point so, too")
    return record


def _whose(point: EntryPoint) -> str:
    return f"{point.value} ({point.dist.name if point.dist else 'no package'})"
