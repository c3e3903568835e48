"""Which sweep files there are: the project's own, those of installed packages, and the user's by path."""

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import search_spaces
from orchestrator.errors import BadInput, unknown_name
from orchestrator.home import is_name_of_sweeps
from trainables.catalog import TASKS

ENTRY_POINTS = "orchestrator.search_spaces"  # what a package declares, with its own name, to bring sweep files


def faults_of_packages() -> list[str]:
    """Return a line for each installed package whose sweep files cannot be found, and for each file passed over."""
    lines, files = [], _sweep_files()
    for point in entry_points(group=ENTRY_POINTS):
        folder = _folder_of(point.value)
        if folder is None:
            lines.append(f"sweeps of {point.name}: no package {point.value!r} ({ENTRY_POINTS} names it)")
            continue
        taken = [path for path in sorted(folder.glob("*.yaml")) if files[path.stem] != path]
        lines += [f"{path}: is passed over, as another sweep is called {path.stem}" for path in taken]
    return lines


def sweep_names() -> list[str]:
    """Return the names of the sweeps that come with the project, and with installed packages."""
    return sorted(_sweep_files())


def find_sweep_file(name: str) -> Path:
    """Return the file of a sweep's name, or the given YAML file. Raises BadInput."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if path.is_dir():
            raise BadInput(f"sweep file {name}: is a folder; name a sweep file in it")
        if not path.is_file():
            raise BadInput(f"sweep file {name}: no such file")
        if not is_name_of_sweeps(path.stem):
            rule = "expected letters, digits, points, dashes and underscores, at most 79; rename the file"
            raise BadInput(f"sweep file {name}: its name becomes the sweep's: {rule}")
        return path
    files = _sweep_files()
    if name not in files:
        if name in TASKS:
            raise BadInput(f"no sweep {name!r}, but a task: orchestrate sweep --task {name}")
        raise BadInput(unknown_name("sweep", name, sorted(files)))
    return files[name]


def _sweep_files() -> dict[str, Path]:
    """Return name -> file; a package's may not take the name of one that comes with the project."""
    folders = [_folder_of(point.value) for point in entry_points(group=ENTRY_POINTS)]
    folders.append(Path(search_spaces.__file__).parent)
    return {path.stem: path for folder in folders if folder is not None for path in sorted(folder.glob("*.yaml"))}


def _folder_of(package: str) -> Path | None:
    """Return where an installed package's files are, None where it cannot be found.

    None of its code is run, but that of the packages it lies in.
    """
    try:
        spec = find_spec(package)
    except Exception:  # noqa: BLE001  whatever the code of such a package raises
        return None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None
