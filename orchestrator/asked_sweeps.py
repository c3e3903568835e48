"""What `orchestrate sweep` is asked for: names, a task, or all tasks -> sweeps, at most one of a task's files each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.chosen_architectures import Choice
from orchestrator.composition import Contents, compose
from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import is_name_of_sweeps
from orchestrator.sweep_file import EVERY, SweepFile, load_sweep_file, read_sweep, resolve_sweep
from orchestrator.sweep_files import find_sweep_file, sweep_names
from orchestrator.sweep_sections import Preset
from trainables.catalog import TASKS


@dataclass(frozen=True)
class AskedSweep:
    """A sweep by its name; `files` are the names or paths of those it is composed of for `task`, none of a single one.

    `notes` say which files were left out.
    """

    name: str
    task: str | None = None
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def load(self, preset: Preset, overrides: Mapping[str, str] | None = None, choice: Choice = EVERY) -> SweepFile:
        """Read, compose and check. Raises BadInput."""
        if self.task is None:
            return load_sweep_file(find_sweep_file(self.name), preset, overrides, choice)
        whole = compose(TASKS[self.task], [_contents(file, preset) for file in self.files], choice)
        return resolve_sweep(self.name, f"sweep {self.name}", whole, preset, overrides)


def asked_sweeps(names: Sequence[str], task: str | None, every_task: bool) -> list[AskedSweep]:
    """Return the sweeps that are asked for: those of the same task as one. Raises BadInput.

    A task means every architecture that fits it, from all sweep files.
    """
    ways = [bool(names), task is not None, every_task]
    if sum(ways) != 1:
        which = "one or more names (orchestrate list sweeps), --task TASK, or --all"
        raise BadInput(f"sweep: {'say one of' if any(ways) else 'say which'}: {which}")
    if names:
        return _of_names(list(dict.fromkeys(names)))
    if task is not None and task not in TASKS:
        raise BadInput(f"--task: {unknown_name('task', task, TASKS)}")
    files, notes = _searching()
    return [AskedSweep(name, name, files, notes) for name in ([task] if task is not None else TASKS)]


def _of_names(names: Sequence[str]) -> list[AskedSweep]:
    if len(names) == 1:
        return [AskedSweep(names[0])]
    of_task: dict[str, list[str]] = {}
    alone = []
    for name in names:
        contents = _contents(name, "quick")
        if contents.is_fixed:
            alone.append(AskedSweep(name))
        else:
            of_task.setdefault(contents.raw["task"], []).append(name)
    together = []
    for task, files in of_task.items():
        joined = "-".join(find_sweep_file(file).stem for file in files)
        name = joined if is_name_of_sweeps(joined) else f"{task}-{len(files)}-files"
        together.append(AskedSweep(files[0]) if len(files) == 1 else AskedSweep(name, task, tuple(files)))
    return together + alone


def _contents(name: str, preset: Preset) -> Contents:
    path = find_sweep_file(name)
    return Contents(path.name, read_sweep(path, preset))


def _searching() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sweep files that search something, and a line for each that cannot be read: it harms no other."""
    files, notes = [], []
    for name in sweep_names():
        try:
            contents = _contents(name, "full")
        except BadInput as error:
            notes.append(f"left out: {error}")
        else:
            files += [] if contents.is_fixed else [name]
    return tuple(files), tuple(notes)
