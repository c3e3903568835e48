"""The stroke set's layout: deep/train two levels deep, deep/test flat, spelled differently."""

import re
from collections.abc import Iterator
from pathlib import Path

from trainables.catalog import Task
from trainables.data.layouts.classes import class_index
from trainables.data.layouts.folders import find_root, images_below, other_files_note, visible_folders
from trainables.data.layouts.patients import with_patients
from trainables.data.layouts.sides import side_named
from trainables.data.records import DataSet, ImageRecord, Side, read_below
from trainables.errors import DataError

MODALITIES = {"bt": "BT", "ct": "BT", "mr": "MR", "mri": "MR"}  # BT is CT
EXPECTED = "the folder that holds deep/, with deep/train/<class>/<class + modality>/ and deep/test/<class + modality>/"


def read(task: Task, data: Path) -> DataSet:
    """Return the set's images; no file is opened but patients.csv.

    `data` is the root (which holds deep/), deep/ itself, or a folder that holds exactly one such root. Class and
    modality are those of the folders that the image lies in, below train/, test/ and val/ in their
    usual spellings. An optional patients.csv at the root (columns path, patient_id) says which images belong together.
    Raises DataError for a folder that is missing, empty, of another layout, or lacks a class.
    """
    root, _ = find_root(data, _is_root, lambda folder: folder.name == "deep", EXPECTED)
    _refuse_two_places(root)
    passed_over = tuple(_passed_over(task, root))
    records = sorted(_records(task, root), key=lambda record: record.path)
    _check_classes(task, root, records)
    records, notes = with_patients(root, records)
    others = other_files_note(_sides(_deep(root)), root)
    return DataSet(root=root, records=records, read=read_below(root), notes=(*passed_over, *others, *notes))


def _is_root(folder: Path) -> bool:
    return _is_deep(folder / "deep") or (folder.name != "deep" and _is_deep(folder))


def _is_deep(folder: Path) -> bool:
    return {"training", "test"} <= set(_sides(folder).values())


def _deep(root: Path) -> Path:
    return root / "deep" if _is_deep(root / "deep") else root


def _sides(deep: Path) -> dict[Path, Side]:
    return {folder: side for folder in visible_folders(deep) if (side := side_named(folder.name))}


def _records(task: Task, root: Path) -> Iterator[ImageRecord]:
    for folder, side in _sides(_deep(root)).items():
        for path, name in images_below(folder, root):
            label, modality = _class_of(task, path, folder)
            yield ImageRecord(path=name, label=label, shipped=side, modality=modality)


def _refuse_two_places(root: Path) -> None:
    """Of a split in the root and one in its deep/ one would be lost."""
    for folder in _sides(root) if _deep(root) != root else ():
        if images := images_below(folder, root):
            raise DataError(
                f"{folder}: holds {len(images)} images beside those in deep/; move it to deep/, or away from the set"
            )


def _passed_over(task: Task, root: Path) -> Iterator[str]:
    """Yield a note for each foreign folder beside the sides. Raises DataError for what looks like a part of the set."""
    deep = _deep(root)
    sides = _sides(deep)
    for folder in visible_folders(deep):
        images = [] if folder in sides or folder.name == "masks" else images_below(folder, root)
        if not images:
            continue
        is_class = _named_class(task, folder.name)[0] is not None
        if is_class or any(_named_class(task, child.name)[0] is not None for child in visible_folders(folder)):
            raise DataError(
                f"{folder}: {'is a class folder' if is_class else 'holds class folders'} beside "
                f"{', '.join(side.name for side in sides)}, but names no side; call it train, test or val, or move it "
                "away"
            )
        yield f"{folder.relative_to(root).as_posix()}/: {len(images)} images lie on no side and are passed over"


def _class_of(task: Task, path: Path, top: Path) -> tuple[int, str]:
    """Read class and modality from the folders between `top` and the image, never from the whole path."""
    labels, modality = set(), task.modality
    for step in path.relative_to(top).parts[:-1]:
        label, told = _named_class(task, step)
        if label is None:
            raise DataError(f"{path.parent}: folder {step!r} names no class; expected one like 'StrokeBT'")
        labels.add(label)
        modality = told or modality
    if len(labels) != 1:
        what = "lies in no class folder" if not labels else "lies in folders of two classes"
        raise DataError(f"{path}: {what}; expected {EXPECTED}")
    return labels.pop(), modality


def _named_class(task: Task, folder: str) -> tuple[int | None, str | None]:
    """Return the class and the modality that a folder's name tells ("StrokeBT"), each None where it tells none."""
    words = re.fullmatch(rf"(\w+?)({'|'.join(MODALITIES)})?", re.sub(r"[^a-z]", "", folder.lower()))
    return (class_index(task, words[1]), MODALITIES.get(words[2] or "")) if words else (None, None)


def _check_classes(task: Task, root: Path, records: list[ImageRecord]) -> None:
    """Every modality of a side needs every class: else the modality alone gives the answer away."""
    for folder, side in _sides(_deep(root)).items():
        own = [record for record in records if record.shipped == side]
        if not own and side == "validation":
            continue  # an empty placeholder
        if not own:
            raise DataError(f"{root}: {folder.name}/ holds no images")
        for modality in sorted({record.modality for record in own}):
            found = {record.label for record in own if record.modality == modality}
            missing = [name for label, name in enumerate(task.classes) if label not in found]
            if missing:
                raise DataError(
                    f"{root}: {folder.name}/ has no {missing[0]} images of modality {modality}; "
                    f"each modality needs both classes (folder {missing[0]}{modality} missing or empty?)"
                )
