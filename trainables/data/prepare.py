"""A data folder -> decoded images, split and digests: everything a sweep needs to know of its data."""

import csv
import hashlib
import importlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from trainables.catalog import Task
from trainables.data.cache import DecodedPart, Progress, decode_part, digest_files
from trainables.data.records import ImageRecord, Part
from trainables.data.splits import split_validation
from trainables.errors import DataError

Side = Literal["training", "validation", "test"]
SIDES: dict[str, Side] = {"training": "training", "validation": "validation", "test": "test"}
VALIDATION_FRACTION = 0.15
MAX_UNREADABLE_FRACTION = 0.05


@dataclass(frozen=True)
class SplitRow:
    """One readable image: its row in the decoded arrays is its place in the list."""

    path: str
    label: int
    modality: str
    group: str
    side: Side
    sha256: str


@dataclass(frozen=True)
class PreparedPart:
    """Development or test images: rows in the order of the decoded arrays (side_px -> file)."""

    rows: list[SplitRow]
    arrays: dict[int, Path]


@dataclass(frozen=True)
class PreparedData:
    """A data set, decoded and split; the digests name its content and its split."""

    root: Path
    development: PreparedPart
    test: PreparedPart
    unreadable: dict[str, str]
    has_patients: bool
    digest: str
    split_digest: str


def prepare_data(
    task: Task, data: Path, sides_px: Sequence[int], cache: Path, seed: int, progress: Progress
) -> PreparedData:
    """Read, decode and split a data folder of the task's layout.

    Development and test images are cached apart, so that code that trains can be given the first alone. Raises
    DataError for a wrong layout, for more than 5 % unreadable files, and for a split that cannot be made.
    """
    module, _, function = task.layout.partition(":")
    read: Callable[[Path], tuple[Path, list[ImageRecord]]] = getattr(importlib.import_module(module), function)
    root, records = read(data)
    digests = digest_files([root / record.path for record in records], progress)
    parts: dict[Part, tuple[list[tuple[ImageRecord, str]], DecodedPart]] = {}
    unreadable: dict[str, str] = {}
    for part in ("development", "test"):
        own = [(record, digest) for record, digest in zip(records, digests, strict=True) if record.part == part]
        paths = [root / record.path for record, _ in own]
        decoded = decode_part(paths, [digest for _, digest in own], sides_px, cache / part, progress)
        parts[part] = (own, decoded)
        unreadable |= {own[row][0].path: reason for row, reason in decoded.unreadable.items()}
    _refuse_many_unreadable(root, unreadable, len(records))
    development = _split_development(*parts["development"], seed)
    own, decoded = parts["test"]
    test = [_row(*own[row], "test") for row in decoded.rows]
    _check_every_class(task, development, test)
    return PreparedData(
        root=root,
        development=PreparedPart(development, parts["development"][1].arrays),
        test=PreparedPart(test, decoded.arrays),
        unreadable=unreadable,
        has_patients=all(record.patient_id for record in records if record.part == "development"),
        digest=_digest(f"{row.path}\t{row.label}\t{row.sha256}" for row in sorted([*development, *test], key=_by_path)),
        split_digest=_digest(f"{row.path}\t{row.side}" for row in sorted([*development, *test], key=_by_path)),
    )


def write_rows(path: Path, rows: Sequence[SplitRow]) -> None:
    """Write rows as CSV, in the order of the decoded arrays."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(SplitRow)])
    writer.writerows(astuple(row) for row in rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def read_rows(path: Path) -> list[SplitRow]:
    """Read what `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            SplitRow(row["path"], int(row["label"]), row["modality"], row["group"], SIDES[row["side"]], row["sha256"])
            for row in csv.DictReader(file)
        ]


def _split_development(own: list[tuple[ImageRecord, str]], decoded: DecodedPart, seed: int) -> list[SplitRow]:
    readable = [own[row] for row in decoded.rows]
    labels = [record.label for record, _ in readable]
    is_validation_N = split_validation(labels, [_group(record) for record, _ in readable], VALIDATION_FRACTION, seed)
    return [
        _row(record, digest, "validation" if held else "training")
        for (record, digest), held in zip(readable, is_validation_N, strict=True)
    ]


def _row(record: ImageRecord, sha256: str, side: Side) -> SplitRow:
    return SplitRow(record.path, record.label, record.modality, _group(record), side, sha256)


def _group(record: ImageRecord) -> str:
    """Name the images that stay together: the patient where known (never in clear), else the image alone."""
    if record.patient_id is None:
        return record.path
    return "patient-" + hashlib.sha256(record.patient_id.encode()).hexdigest()[:12]


def _by_path(row: SplitRow) -> str:
    return row.path


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _refuse_many_unreadable(root: Path, unreadable: dict[str, str], images: int) -> None:
    if len(unreadable) > MAX_UNREADABLE_FRACTION * images:
        examples = "; ".join(f"{path}: {reason}" for path, reason in list(unreadable.items())[:5])
        raise DataError(
            f"{root}: {len(unreadable)} of {images} images cannot be read, more than "
            f"{MAX_UNREADABLE_FRACTION:.0%}: {examples}"
        )


def _check_every_class(task: Task, development: list[SplitRow], test: list[SplitRow]) -> None:
    for name, rows in (("train/", development), ("test/", test)):
        missing = set(range(len(task.classes))) - {row.label for row in rows}
        if missing:
            raise DataError(f"{name} has no readable image of class {task.classes[min(missing)]!r}")
