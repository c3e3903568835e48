"""What the user asked of a sweep; kept beside its journal, so that it can be resumed as it was asked for."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from orchestrator.asked_sweeps import AskedSweep
from orchestrator.cache_upkeep import MAX_CACHE_BYTES
from orchestrator.chosen_architectures import Choice
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.object_store import ObjectStore
from orchestrator.plan import WarmPoint
from orchestrator.sweep_file import SweepFile
from orchestrator.sweep_sections import Allocation, Preset
from trainables.catalog import Weights

FILE = "request.json"
LOCAL = "local"
_IMAGES = "images"
# taken anew each time: settings, maybe a password; a task file is kept elsewhere
_OF_THE_MACHINE = ("home", "tracking_uri", "max_cache_bytes", "task_text", "storage", "store")


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What the user asked for; None means that the sweep file or the machine decides."""

    name: str
    home: Home
    task: str | None = None  # that several sweep files are one sweep of
    task_text: str = ""  # of the user's own task file, which the home keeps once its data are read
    files: tuple[str, ...] = ()  # their names or paths
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
    split: Literal["shipped", "grouped"] | None = None
    folds: int = 1
    seeds: int = 1
    exclude: tuple[str, ...] = ()
    allocation: Allocation | None = None
    time_budget_s: float | None = None
    gpu_share: float | None = None  # of one GPU for each trial; None: what the largest architecture needs
    max_disk_bytes: int | None = None
    sweep_id: str | None = None
    address: str = LOCAL  # of the Ray cluster that it runs on
    storage: Path | None = None  # where its folder is, for all nodes; None: in the home
    store: ObjectStore | None = None  # where all of it is for other machines; its folder is in the home then
    witness: bool = False  # see TrialSetup
    warm_start: bool = False
    warm_points: Mapping[str, tuple[WarmPoint, ...]] | None = None  # once they are found: a resumed sweep has the same
    max_cache_bytes: int = MAX_CACHE_BYTES
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> AskedSweep:
        """Return which sweep it is of."""
        return AskedSweep(self.name, self.task, self.files)

    def load(self, preset: Preset) -> SweepFile:
        """Return the sweep for a preset, with the chosen architectures and settings. Raises BadInput."""
        return self.asked.load(preset, self.overrides, Choice(self.architectures, self.exclude))

    @property
    def data_name(self) -> str:
        """Return the last part of a given folder's path; empty where there is none of the user's own."""
        return "" if self.data in (None, "phantom") else Path(str(self.data)).absolute().name


def keep_request(folder: Path, request: SweepRequest, images: Path) -> None:
    """Write a request beside its journal, and where its images are.

    Paths are made whole, as a sweep may be resumed from elsewhere.
    """
    kept: dict[str, Any] = {name: value for name, value in asdict(request).items() if name not in _OF_THE_MACHINE}
    kept["warm_points"] = _plain_points(request.warm_points)
    kept["name"], kept["files"] = _whole(request.name), [_whole(file) for file in request.files]
    if request.data not in (None, "phantom"):
        kept["data"] = str(Path(str(request.data)).absolute())
    kept["data_root"] = None if request.data_root is None else str(request.data_root.absolute())
    kept[_IMAGES] = str(images.absolute())
    part = folder / f"{FILE}.part"
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps(kept, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / FILE)


def _plain_points(points: Mapping[str, tuple[WarmPoint, ...]] | None) -> dict[str, Any] | None:
    return None if points is None else {name: [one.model_dump() for one in own] for name, own in points.items()}


def name_in_ids(name: str) -> str:
    """Return what a sweep's name, or the path of its file, is called in ids."""
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name


def _whole(name: str) -> str:
    return str(Path(name).absolute()) if name.endswith((".yaml", ".yml")) else name


def kept_request(folder: Path, machine: SweepRequest) -> SweepRequest:
    """Return the request that a sweep was started with, with the settings of this machine.

    Raises BadInput where there is none.
    """
    kept = read_request(folder)
    if kept is None:
        raise BadInput(f"{folder / FILE}: is missing or damaged; the sweep cannot be resumed, start it anew")
    return replace(kept, **{name: getattr(machine, name) for name in _OF_THE_MACHINE})


def read_request(folder: Path) -> SweepRequest | None:
    """Return what the user asked for, without settings of a machine; None where it was not kept, or is damaged."""
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        known = {field.name for field in fields(SweepRequest)} - set(_OF_THE_MACHINE)
        asked = {name: value for name, value in kept.items() if name in known} | {"home": {"root": ""}}
        return TypeAdapter(SweepRequest).validate_python(asked)
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def images_of(folder: Path) -> Path | None:
    """Return where a sweep's images were found, whoever named them; None where that was not kept."""
    try:
        return Path(json.loads((folder / FILE).read_text(encoding="utf-8"))[_IMAGES])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
