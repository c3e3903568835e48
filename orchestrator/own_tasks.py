"""The user's own tasks of a home: a copy of each task file, so that every later command knows the task by its name."""

import os
import secrets
from pathlib import Path

import yaml

from orchestrator.errors import BadInput
from orchestrator.history import all_sweeps
from orchestrator.home import Home
from orchestrator.task_file import KEYS, KNOWN_FOR_GOOD, read_task_file, task_of
from orchestrator.yaml_file import read_yaml
from trainables.catalog import Task, add_task


def load_own_tasks(home: Home) -> list[str]:
    """Let this process know the tasks of a home; return a line for each that cannot be read: it harms no other."""
    faults = []
    for path in sorted(home.tasks.glob("*.yaml")):
        try:
            add_task(read_task_file(path))
        except BadInput as error:
            faults.append(f"own task {path.stem}: {error}; mend {path}, or remove it")
    return faults


def own_task(home: Home, file: Path) -> tuple[Task, str]:
    """Return the task of a file, known to this process, and the text by which later commands know it once it is kept.

    The text is of the same moment: the file may be edited, or go, while images are read for minutes. Raises BadInput
    for a faulty file, and for one that says otherwise what layout, classes, images or window a task of its name has
    that was swept here.
    """
    values = read_yaml(file, KEYS)
    task = task_of(file, values)
    kept = home.tasks / f"{task.name}.yaml"
    if kept.is_file():
        try:
            known = read_task_file(kept)
        except BadInput as error:
            raise BadInput(f"{kept}: is damaged ({error}); mend it, or remove it") from error
        changed = [name for name in KNOWN_FOR_GOOD if getattr(known, name) != getattr(task, name)]
        swept = any(state.plan.task == task.name for state in all_sweeps(home)[0]) if changed else False
        if swept:
            raise BadInput(
                f"{file.name}: task: {task.name!r} has sweeps with another {' and '.join(changed)} ({kept}); give the "
                "new one another name"
            )
    add_task(task)
    whole = {**values, **({"data": task.data} if task.data else {})}
    return task, f"# from {file.name}\n" + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True)


def task_named(home: Home, given: str) -> tuple[str, str]:
    """Return the name of a task that is given by name or as a file, and the text to keep of a file, else none.

    Raises BadInput as `own_task`.
    """
    if not given.endswith((".yaml", ".yml")):
        return given, ""
    task, text = own_task(home, Path(given))
    return task.name, text


def keep_task(home: Home, name: str, text: str) -> None:
    """Keep a task's text, so that later commands know it: for tasks whose images were read. Raises BadInput.

    One without images would make every later sweep of all tasks fail.
    """
    kept = home.tasks / f"{name}.yaml"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{kept.name}.{secrets.token_hex(4)}")
        part.write_text(text, encoding="utf-8")
        os.replace(part, kept)
    except OSError as error:
        raise BadInput(f"ORCHESTRATE_HOME: {kept}: {error.strerror or error}; see that it can be written") from error
