"""Sweep files: YAML -> typed values, every fault with its file and key path, before anything heavy is imported."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.chosen_architectures import Choice, with_chosen
from orchestrator.errors import BadInput, unknown_name
from orchestrator.generic_space import with_generic_spaces
from orchestrator.overrides import overlay_of
from orchestrator.space import Space, SpaceFaults, parse_space
from orchestrator.sweep_sections import (
    PRESETS,
    SECTIONS,
    Budget,
    Preset,
    Published,
    PublishedScore,
    Scheduler,
    Search,
    Section,
)
from orchestrator.whole_points import with_whole_points
from orchestrator.yaml_file import read_yaml, shortened
from trainables.catalog import TASKS, Task, architecture, architecture_names
from trainables.configs.record import Architecture
from trainables.configs.timm_model import TIMM
from trainables.errors import ArchitectureError


class SweepFile(BaseModel):
    """One sweep, resolved for one preset; its name is the file's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: str
    preset: Preset
    architectures: dict[str, Space]
    budget: Budget
    search: Search
    scheduler: Scheduler
    published: Published


EVERY = Choice()
_NO_SCALAR = {"bool_type": "bool", "int_type": "int", "float_type": "float", "string_type": "str"}
KEYS = {"task", "architectures", "presets", *SECTIONS}


def load_sweep_file(
    path: Path, preset: Preset, overrides: Mapping[str, str] | None = None, choice: Choice = EVERY
) -> SweepFile:
    """Read, check and resolve a sweep file; both presets are checked whatever the one asked for.

    `overrides` are the command line's --set KEY=VALUE pairs, of the architectures that are its `choice`. Raises
    BadInput with one line per fault.
    """
    whole = with_chosen(read_sweep(path, preset), choice)
    return resolve_sweep(path.stem, path.name, whole, preset, overrides)


def read_sweep(path: Path, preset: Preset) -> dict[str, Any]:
    """Return a sweep file's contents with a preset laid over them; both are checked. Raises BadInput."""
    raw = _checked_contents(path, _stamp(path))
    return _merge(raw, _preset(raw, preset))


def _stamp(path: Path) -> tuple[int, int]:
    """Return what tells another state of a file; of one that is not there, reading says so."""
    try:
        about = path.stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_size


@lru_cache(maxsize=64)  # a sweep of all tasks asks for each file a dozen times
def _checked_contents(path: Path, stamp: tuple[int, int]) -> Mapping[str, Any]:
    """Return a file's contents as they are; it and what each preset makes of it are checked. Raises BadInput."""
    raw = read_yaml(path)
    base = _Reading()
    base.check(raw, {})
    if not base.faults:
        for name in PRESETS:
            base.check(raw, _preset(raw, name), prefix=f"presets.{name}.")
    _raise(path.name, base.faults)
    return raw


def resolve_sweep(
    name: str, source: str, merged: Mapping[str, Any], preset: Preset, overrides: Mapping[str, str] | None
) -> SweepFile:
    """Return checked contents as a sweep called `name`, with --set laid over them; `source` is named with faults."""
    if overrides:
        overlay = overlay_of(overrides, merged)
        reading = _Reading()
        reading.check(merged, overlay)
        _raise("--set", reading.faults)
        merged = _merge(merged, overlay)
    file = SweepFile(
        name=name,
        task=merged["task"],
        preset=preset,
        architectures={
            name: parse_space(space, architecture(name).config) for name, space in merged["architectures"].items()
        },
        **{key: section(**merged.get(key, {})) for key, section in SECTIONS.items()},
    )
    try:
        search = with_whole_points(file.architectures, file.search, file.published, overridden=bool(overrides))
    except SpaceFaults as error:
        where = f"{source} with --set" if overrides else source
        raise BadInput("\n".join(f"{where}: {key}: {message}" for key, message in error.faults)) from error
    return file.model_copy(update={"search": search})


class _Reading:
    """One pass of checks over a raw sweep file, collecting every fault."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def check(self, raw: Mapping[str, Any], overlay: Mapping[str, Any], prefix: str = "") -> None:
        """Check `raw` with `overlay` laid over it; key paths that the overlay holds carry `prefix`."""
        before = len(self.faults)
        for key in overlay if overlay else raw:
            if key not in KEYS:
                self.faults.append((f"{prefix}{key}", unknown_name("key", str(key), KEYS)))
        merged = _merge(raw, overlay)
        self._check_task(merged.get("task"))
        self._check_architectures(merged.get("architectures"), merged.get("task"))
        for key, section in SECTIONS.items():
            self._check_section(key, section, merged.get(key, {}))
        if not overlay:
            self._check_presets(raw.get("presets", {}))
        self.faults[before:] = [(_prefixed(key, overlay, prefix), message) for key, message in self.faults[before:]]

    def _check_task(self, task: object) -> None:
        if task is None:
            self.faults.append(("task", "missing; name the task that the sweep is for"))
        elif not isinstance(task, str) or task not in TASKS:
            self.faults.append(("task", unknown_name("task", str(task), TASKS)))

    def _check_architectures(self, architectures: object, task: object) -> None:
        if not isinstance(architectures, dict) or not architectures:
            self.faults.append(("architectures", f"expected at least one architecture, got {shortened(architectures)}"))
            return
        for name, space in architectures.items():
            where = f"architectures.{name}"
            try:
                record = known_architecture(name)
            except BadInput as error:
                self.faults.append((where, str(error)))
                continue
            if not isinstance(space, dict):
                self.faults.append((where, f"expected hyperparameters, got {shortened(space)}"))
                continue
            why = misfit(record, TASKS[task]) if isinstance(task, str) and task in TASKS else ""
            self.faults += [(where, why)] if why else []
            try:
                parse_space(space, record.config)
            except SpaceFaults as error:
                self.faults += [(f"{where}.{key}".rstrip("."), message) for key, message in error.faults]

    def _check_section(self, key: str, section: type[Section], value: object) -> None:
        if not isinstance(value, dict):
            self.faults.append(
                (key, f"expected keys such as {', '.join(section.model_fields)}, got {shortened(value)}")
            )
            return
        try:
            section.model_validate(value)
        except ValidationError as error:
            for fault in error.errors():
                kind = fault["loc"][-1]
                if fault["type"] in _NO_SCALAR and kind in _NO_SCALAR.values():
                    if kind == "bool":  # pydantic tells of each kind of value that it is not
                        where = ".".join([key, *map(str, fault["loc"][:-1])])
                        self.faults.append((where, f"expected one value, got {shortened(fault['input'])}"))
                    continue
                where = ".".join([key, *map(str, fault["loc"])])
                if fault["type"] == "extra_forbidden":
                    own = section if len(fault["loc"]) == 1 else PublishedScore  # the only section within one
                    self.faults.append((where, unknown_name("key", str(fault["loc"][-1]), own.model_fields)))
                else:
                    message = fault["msg"].removeprefix("Input ").replace("should be", "must be")
                    self.faults.append((where, f"{message}, got {shortened(fault['input'])}"))

    def _check_presets(self, presets: object) -> None:
        if not isinstance(presets, dict):
            self.faults.append(("presets", f"expected {' and '.join(PRESETS)}, got {shortened(presets)}"))
            return
        for name, overlay in presets.items():
            if name not in PRESETS:
                self.faults.append((f"presets.{name}", unknown_name("preset", str(name), PRESETS)))
            elif overlay is not None and not isinstance(overlay, dict):
                self.faults.append((f"presets.{name}", f"expected keys, got {shortened(overlay)}"))


def known_architecture(name: object) -> Architecture:
    """Return the record of an architecture. Raises BadInput with the nearest name for one that does not exist."""
    try:
        return architecture(str(name))
    except KeyError:
        known = [*architecture_names(), f"{TIMM}<name>"]
        raise BadInput(unknown_name("architecture", str(name), known)) from None
    except ArchitectureError as error:
        raise BadInput(str(error)) from error


def misfit(record: Architecture, task: Task) -> str:
    """Return why an architecture cannot be trained for a task, nothing where it can."""
    takes, has = record.images_per_case, task.images_per_case
    if takes == has:
        return ""
    fit = []
    for name in architecture_names():
        with suppress(BadInput):  # another package's fault is none of this one's
            fit += [name] if known_architecture(name).images_per_case == has else []
    way_out = f"known for it: {', '.join(fit)}" if fit else "no architecture here takes as many"
    noun = "image" if takes == 1 else "images"
    return f"takes {_count(takes)} {noun} per case, task {task.name} has {_count(has)}; {way_out}"


def _count(number: int) -> str:
    return {1: "one", 2: "two"}.get(number, str(number))


def _preset(raw: Mapping[str, Any], preset: str) -> dict[str, Any]:
    overlay: dict[str, Any] = raw.get("presets", {}).get(preset) or {}
    return overlay


def _merge(raw: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the overlay over the sections; a hyperparameter is replaced whole, never mixed.

    A timm architecture has the generic space below its own.
    """
    merged = dict(raw)
    for key, value in overlay.items():
        if key == "architectures" and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {
                name: (
                    {**(space or {}), **value[name]} if isinstance(value.get(name), dict) else value.get(name, space)
                )
                for name, space in merged[key].items()
            } | {name: space for name, space in value.items() if name not in merged[key]}
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    if isinstance(merged.get("architectures"), dict):
        merged["architectures"] = with_generic_spaces(merged["architectures"])
    return merged


def _prefixed(key: str, overlay: Mapping[str, Any], prefix: str) -> str:
    given = not key.startswith(prefix) and _stands_in(key, overlay)
    return prefix + key if given else key


def _stands_in(key: str, overlay: Mapping[str, Any], depth: int = 3) -> bool:
    """Tell whether a fault's key path, or what it lies in, is one of the overlay's; names may hold dots."""
    for part, value in overlay.items():
        if key == str(part):
            return True
        below = key[len(str(part)) + 1 :]
        inside = depth == 1 or (isinstance(value, dict) and _stands_in(below, value, depth - 1))
        if key.startswith(f"{part}.") and inside:
            return True
    return False


def _raise(source: str, faults: list[tuple[str, str]]) -> None:
    if faults:
        raise BadInput(
            "\n".join(f"{source}: {key}: {message}" if key else f"{source}: {message}" for key, message in faults)
        )
