"""`orchestrate init`: a folder of images -> a task file with what was guessed of it, and the data check's findings."""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.inspecting.data import CheckedData, check_data
from orchestrator.inspecting.guessed_task import GuessedTask, guess_task
from orchestrator.own_tasks import keep_task, own_task
from orchestrator.task_file import NAME
from trainables.catalog import SHIPPED_TASKS, Task

if TYPE_CHECKING:
    from trainables.data.decoding import Progress


WINDOW = "# ct_window_hu: [40, 80]  # level and width in which CT is seen; lung [-600, 1500], bone [480, 2500]"


@dataclass(frozen=True)
class InitialisedTask:
    """A task file that was written, what it rests on, and what the check found in the data."""

    file: Path
    task: Task
    guess: GuessedTask
    checked: CheckedData


def init_task(data: Path, out: Path | None, name: str | None, home: Home, progress: "Progress") -> InitialisedTask:
    """Write a task file for a folder or table of images, by default NAME.yaml here, and check the data.

    Raises BadInput where nothing is recognised, the file exists, or the data do not hold what was guessed: the file
    stays then, to be mended.
    """
    guess = guess_task(data)
    if len(guess.classes) < 2:
        raise BadInput(f"{data}: only one class, {', '.join(guess.classes)}; a task needs two")
    if name is not None and (not NAME.fullmatch(name) or name in SHIPPED_TASKS):
        raise BadInput(
            f"--name {name}: expected small letters, digits and underscores, and none of this project's names"
        )
    named = name or name_of(data)
    file = out or Path(f"{named}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise BadInput(f"--out {file}: expected a name that ends with .yaml")
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(task_text(named, guess, file.absolute().parent))
    except FileExistsError:
        raise BadInput(f"{file}: is there already; edit it, or name another with --out") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be written ({error.strerror or error}); name another with --out") from error
    try:
        task, kept = own_task(home, file)
        checked = check_data(task, Path(task.data), f"data of {file}", home, None, progress)
    except BadInput as error:
        raise BadInput(
            f"{error}\n{file} was written: mend it, then: orchestrate data check {shlex.quote(str(file))}"
        ) from error
    keep_task(home, task.name, kept)
    return InitialisedTask(file, task, guess, checked)


def name_of(data: Path) -> str:
    """Return a task's name made of a folder's or a file's."""
    name = re.sub(r"\W+", "_", data.absolute().stem if data.is_file() else data.absolute().name).strip("_").lower()
    name = re.sub(r"[^a-z0-9_]", "", name)[:30]
    if not NAME.fullmatch(name) or name in SHIPPED_TASKS or name.endswith("_phantom"):
        name = f"my_{name}".rstrip("_").removesuffix("_phantom")
    return name


def task_text(name: str, guess: GuessedTask, folder: Path) -> str:
    """Return a task file's text, with a comment for what may be said besides; `data` is relative to its folder."""
    lines = [
        f"task: {name}",
        f"layout: {guess.layout}  # one of folders, split folders, parquet, pairs, manifest",
        f"data: {_yaml(os.path.relpath(guess.data.absolute(), folder))}  # {guess.images} images",
        f"classes: {_yaml(guess.classes)}  # their order is that of the model's outputs",
        *([f"aliases: {_yaml(guess.aliases)}  # what the data call them"] if guess.aliases else []),
        *([f"columns: {_yaml(guess.columns)}  # what the table calls them"] if guess.columns else []),
        *_of_patients(guess),
        *([WINDOW] if guess.has_dicom else []),
        "# modality: MR",
        "primary_metric: auroc  # what decides; also balanced_accuracy, macro_f1, mcc ...",
        f"# severity: {_yaml(guess.classes)}  # the least severe first, where the classes have an order",
        "# split_fractions: [0.6, 0.2, 0.2]  # training, validation, test, where no split ships",
        "# timm_models: [timm/convnext_atto]  # tried beside the architectures of all sweeps",
    ]
    return "\n".join(lines) + "\n"


def _of_patients(guess: GuessedTask) -> list[str]:
    """Return the pattern where the paths tell patients, as a suggestion where they do not."""
    if guess.patient_id_pattern:
        pattern = yaml.safe_dump(guess.patient_id_pattern, default_style="'", width=1000).strip()
        return [f"patient_id_pattern: {pattern}  # finds {guess.patients} patients in the paths: is that right?"]
    if "patient_id" in guess.columns or guess.layout == "manifest":
        return []
    if guess.patients:
        return [f"# {guess.patients} patients by DICOM's PatientID; a patients.csv or a patient_id_pattern goes first"]
    return [
        "# patient_id_pattern: '(P\\d+)_'  # the group is the patient in an image's path. Without one, or a",
        "#   patients.csv, whose images are whose is guessed from the pictures",
    ]


def _yaml(value: object) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).removesuffix("...\n").strip()
    )
