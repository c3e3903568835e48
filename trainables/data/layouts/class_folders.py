"""Sets with one folder per class: yes/ and no/, or Training/<class>/ and Testing/<class>/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainables.catalog import SHIPPED_TASKS, Task
from trainables.data.layouts.classes import check_every_class, class_index, class_of_folder, class_suggestion
from trainables.data.layouts.folders import find_root, images_below, other_files_note, visible_folders
from trainables.data.layouts.patients import with_patients
from trainables.data.layouts.sides import side_named, without_lone_side
from trainables.data.records import DataSet, ImageRecord, Side, is_image, read_below
from trainables.errors import DataError


@dataclass(frozen=True)
class _Top:
    """A folder whose subfolders are classes; `side` is None where the set ships no split."""

    folder: Path
    side: Side | None


def read(task: Task, data: Path) -> DataSet:
    """Return the set's images; no file is opened but patients.csv.

    `data` is the root (which holds the class folders, or Training/ and Testing/ in one of the usual spellings), one of
    these folders, or a folder that holds exactly one such root. The class is that of the folder that the image lies
    in. Raises DataError for a folder that is missing, empty, of another layout, or lacks a class.
    """
    expected = (
        f"a folder for each class ({', '.join(task.classes)}), or Training/<class>/ and Testing/<class>/; "
        "or name a manifest (CSV with columns path, label)"
    )
    root, notes = find_root(
        data, lambda folder: bool(_tops(task, folder)), lambda folder: _is_part(task, folder), expected
    )
    tops = _tops(task, root)
    if any(top.folder == root for top in tops) and len(tops) > 1:
        raise DataError(
            f"{root}: holds both {tops[0].folder.name}/ and {_class_folders(task, root)[0].name}/; "
            "keep either a split or bare class folders"
        )
    _refuse_strange_sides(task, root, tops)
    records: list[ImageRecord] = []
    for top in tops:
        found, passed_over = _records(task, root, top)
        where = root if top.side is None else top.folder
        check_every_class(task, found, where, "images")
        records += found
        notes += passed_over
    notes += other_files_note([folder for top in tops for folder in _class_folders(task, top.folder)], root)
    records, split_notes = without_lone_side(sorted(records, key=lambda record: record.path))
    records, patient_notes = with_patients(root, records)
    return DataSet(root=root, records=records, read=read_below(root), notes=(*notes, *split_notes, *patient_notes))


def _tops(task: Task, folder: Path) -> list[_Top]:
    """Return the folders that hold class folders: those of the sides and the given one; empty for another layout."""
    sides = [_Top(child, side) for child in visible_folders(folder) if (side := side_named(child.name))]
    return [top for top in (*sides, _Top(folder, None)) if _class_folders(task, top.folder)]


def _is_part(task: Task, folder: Path) -> bool:
    """Say whether a folder is one of the sides or classes that lie beside each other; a name alone proves nothing."""
    sides = [top for top in _tops(task, folder.parent) if top.side is not None]
    if len(sides) > 1:
        return folder in [top.folder for top in sides]
    classes = _class_folders(task, folder.parent)
    return not _tops(task, folder) and len(classes) > 1 and folder in classes


def _class_folders(task: Task, top: Path) -> list[Path]:
    return [child for child in visible_folders(top) if class_index(task, child.name) is not None]


def _records(task: Task, root: Path, top: _Top) -> tuple[list[ImageRecord], tuple[str, ...]]:
    """Return the images of the class folders, and notes on images that lie in none."""
    records = [
        ImageRecord(path=name, label=_label(task, path.parent, folder), shipped=top.side, modality=task.modality)
        for folder in _class_folders(task, top.folder)
        for path, name in images_below(folder, root)
    ]
    return records, tuple(_passed_over(task, root, top))


def _label(task: Task, folder: Path, of_class: Path) -> int:
    """Return the class of the folder that an image lies in; of a user's own task it may be one of a patient's.

    Raises DataError for a folder that names no class in a set whose folders are known, and for another class's below.
    """
    own = class_index(task, folder.name)
    if own is None and task.name not in SHIPPED_TASKS:
        strange = [
            name for name in folder.relative_to(of_class).parts if name.casefold() == "masks" or side_named(name)
        ]
        if strange:
            raise DataError(f"{folder}: {strange[0]!r} lies in a class's folder, and would be images of it; move it")
        return class_of_folder(task, of_class)
    label = class_of_folder(task, folder)
    if task.name not in SHIPPED_TASKS and label != class_of_folder(task, of_class):
        raise DataError(f"{folder}: lies in {of_class.name!r} and names another class; move it")
    return label


def _refuse_strange_sides(task: Task, root: Path, tops: list[_Top]) -> None:
    """Raise DataError for a folder of class folders beside the sides that names no side: half a set would be lost."""
    if all(top.side is None for top in tops):
        return
    for folder in visible_folders(root):
        if side_named(folder.name) is None and folder.name != "masks" and _class_folders(task, folder):
            known = ", ".join(top.folder.name for top in tops)
            raise DataError(
                f"{folder}: holds class folders beside {known}, but names no side; call it Training, Validation or "
                "Testing, or move it away"
            )


def _named(folder: Path, root: Path) -> str:
    """Return a folder's name for a note, which must not say where on this machine the set lies."""
    return "the set's root" if folder == root else folder.relative_to(root).as_posix() + "/"


def _passed_over(task: Task, root: Path, top: _Top) -> Iterator[str]:
    """Yield a note for each foreign folder and for loose images. Raises DataError for what looks like a class."""
    loose = [path for path in top.folder.iterdir() if is_image(path) and path.is_file()]
    loose = [path for path in loose if not path.name.startswith(".")]
    if loose:
        yield f"{_named(top.folder, root)}: {len(loose)} images lie in no class folder and are passed over"
    for folder in visible_folders(top.folder):
        if class_index(task, folder.name) is not None or (top.folder == root and folder.name == "masks"):
            continue
        if num_images := len(images_below(folder, root)):
            if top.side is not None or not _tops(task, folder):
                raise DataError(
                    f"{folder}: holds {num_images} images and names no class; {class_suggestion(task, folder.name)}; "
                    "rename it or move it away"
                )
            yield f"{_named(folder, root)}: {num_images} images of what looks like a copy of the set are passed over"
