"""Class names as people spell them in folders, columns and metadata -> the task's class indices."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from trainables.catalog import Task, folded_class
from trainables.data.records import ImageRecord
from trainables.errors import DataError


def class_index(task: Task, text: str) -> int | None:
    """Return the index of a class or alias, or None; case and punctuation do not matter ("No_Tumor" is "notumor")."""
    return _spellings(task).get(folded_class(text))


def class_of_label(task: Task, text: str) -> int | None:
    """Return the class of a table's cell, or None; a number may be an alias, and 1.0 is 1: pandas makes that of it."""
    if text in task.aliases:
        return task.classes.index(task.aliases[text])
    number = re.fullmatch(r"(\d{1,9})(\.0*)?", text, re.ASCII)
    return class_index(task, number[1] if number else text)


def class_of_folder(task: Task, folder: Path) -> int:
    """Return the class that a folder names by itself, never by its whole path. Raises DataError."""
    label = class_index(task, folder.name)
    if label is None:
        raise DataError(f"{folder}: folder {folder.name!r} names no class; {class_suggestion(task, folder.name)}")
    return label


def class_suggestion(task: Task, text: str) -> str:
    """Return a half sentence for a class that does not exist: the nearest spelling, and all classes."""
    spellings = _spellings(task)
    near = get_close_matches(folded_class(text), spellings, n=1, cutoff=0.6)
    hint = f"did you mean {task.classes[spellings[near[0]]]!r}? " if near else ""
    return f"{hint}classes of {task.name}: {', '.join(task.classes)}"


def check_every_class(task: Task, records: Iterable[ImageRecord], where: object, what: str) -> None:
    """Raise DataError when a class has no record; `where` and `what` say where it was looked for, and for what."""
    missing = set(range(len(task.classes))) - {record.label for record in records}
    if missing:
        raise DataError(f"{where}: no {what} of class {task.classes[min(missing)]!r}; every class needs some")


def _spellings(task: Task) -> dict[str, int]:
    names = {folded_class(name): index for index, name in enumerate(task.classes)}
    return {folded_class(alias): task.classes.index(name) for alias, name in task.aliases.items()} | names
