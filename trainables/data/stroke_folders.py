"""The stroke set's layout: deep/train two levels deep, deep/test flat, spelled differently."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from trainables.data.records import ImageRecord, Part, image_files
from trainables.errors import DataError

LABELS = {"normal": 0, "control": 0, "stroke": 1}
MODALITIES = {"bt": "BT", "ct": "BT", "mr": "MR", "mri": "MR"}
PARTS: dict[str, Part] = {"train": "development", "test": "test"}
_FOLDER = re.compile(rf"({'|'.join(LABELS)})({'|'.join(MODALITIES)})?")


def read_stroke_folders(data: Path) -> tuple[Path, list[ImageRecord]]:
    """Return the set's root and its images, sorted by path; no file is opened but patients.csv.

    `data` is the root (which holds deep/), deep/ itself, or a folder that holds exactly one such root. Class and
    modality are those of the folders that the image lies in, below train/ and test/ only. An optional patients.csv
    at the root (columns path, patient_id) says which images belong together.
    Raises DataError for a folder that is missing, empty, of another layout, or lacks a class.
    """
    root = _find_root(data)
    patients = _read_patients(root)
    records = [
        ImageRecord(path=path, label=label, part=part, modality=modality, patient_id=patients.get(path))
        for path, label, part, modality in sorted(_images(root))
    ]
    _check_classes(root, records)
    if patients:
        _check_patients(root, records)
    return root, records


def _find_root(data: Path) -> Path:
    if not data.exists():
        raise DataError(f"{data}: no such folder; give the folder that holds deep/")
    if not data.is_dir():
        raise DataError(f"{data}: is a file; give the folder that holds deep/")
    if _is_deep(data):
        return data.parent if data.name == "deep" else data
    if _is_deep(data / "deep"):
        return data
    below = [child for child in sorted(data.iterdir()) if _is_deep(child / "deep")]
    if len(below) == 1:
        return below[0]
    if below:
        raise DataError(f"{data}: {len(below)} data sets below ({', '.join(path.name for path in below)}); name one")
    what = "is empty" if not any(data.iterdir()) else "holds no deep/train and deep/test"
    raise DataError(
        f"{data}: {what}; expected deep/train/<class>/<class + modality>/ and deep/test/<class + modality>/"
    )


def _is_deep(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in PARTS)


def _images(root: Path) -> Iterator[tuple[str, int, Part, str]]:
    deep = root / "deep" if _is_deep(root / "deep") else root
    for name, part in PARTS.items():
        for path in image_files(deep / name):
            if not path.name.isprintable():
                raise DataError(
                    f"{path.parent}: a file name holds characters that are no text ({path.name!r}); rename it"
                )
            label, modality = _class_of(path, deep / name)
            yield path.relative_to(root).as_posix(), label, part, modality


def _class_of(path: Path, top: Path) -> tuple[int, str]:
    """Read class and modality from the folders between `top` and the image, never from the whole path."""
    labels, modality = set(), "unknown"
    for step in path.relative_to(top).parts[:-1]:
        words = _FOLDER.fullmatch(re.sub(r"[^a-z]", "", step.lower()))
        if words is None:
            raise DataError(f"{path.parent}: folder {step!r} names no class; expected one like 'StrokeBT'")
        labels.add(LABELS[words[1]])
        modality = MODALITIES.get(words[2] or "", modality)
    if len(labels) != 1:
        what = "lies in no class folder" if not labels else "lies in folders of two classes"
        raise DataError(f"{path}: {what}")
    return labels.pop(), modality


def _check_classes(root: Path, records: list[ImageRecord]) -> None:
    """Every modality of a part needs both classes: else the modality alone gives the answer away."""
    for name, part in PARTS.items():
        own = [record for record in records if record.part == part]
        if not own:
            raise DataError(f"{root}: {name}/ holds no images")
        for modality in sorted({record.modality for record in own}):
            found = {record.label for record in own if record.modality == modality}
            missing = [word for word in ("normal", "stroke") if LABELS[word] not in found]
            if missing:
                raise DataError(
                    f"{root}: {name}/ has no {missing[0]} images of modality {modality}; "
                    f"each modality needs both classes (folder {missing[0]}{modality} missing or empty?)"
                )


def _check_patients(root: Path, records: list[ImageRecord]) -> None:
    """A table that misses images would let patients stand on both sides while it seems that they cannot."""
    missing = [record.path for record in records if record.part == "development" and record.patient_id is None]
    if missing:
        raise DataError(
            f"{root / 'patients.csv'}: {len(missing)} images of train/ are not in it, e.g. {missing[0]!r}; "
            "paths are relative to the folder that holds deep/, with forward slashes"
        )


def _read_patients(root: Path) -> dict[str, str]:
    path = root / "patients.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not {"path", "patient_id"} <= set(columns):
                raise DataError(f"{path}: expected columns path, patient_id, got {', '.join(columns) or 'none'}")
            patients = {row["path"]: row["patient_id"] for row in reader if row["patient_id"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    if not patients:
        raise DataError(f"{path}: names no patient; fill it or remove it")
    return patients
