"""A data folder -> decoded images, audit, split and digests: everything a sweep needs to know of its data."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trainables.audit.facts import AuditInput
from trainables.audit.linked_images import crossings
from trainables.catalog import Task
from trainables.data.cache import digest_file, is_whole, part_folder, require_as_hashed, write_part
from trainables.data.decoding import Progress, decode_images, staging_folder
from trainables.data.examine import ExaminedData, examine_data
from trainables.data.records import Part, Side
from trainables.data.sides import DecidedSides, SplitKind, SplitRequest, decide_sides
from trainables.data.split_rows import SplitRow, digest_rows, digest_test
from trainables.data.views import View


@dataclass(frozen=True)
class PreparedPart:
    """Development or test cases: rows in the order of the decoded arrays (name of the view -> file)."""

    rows: list[SplitRow]
    arrays: dict[str, Path]

    @cached_property
    def array_digests(self) -> dict[str, str]:
        """Return the digest of each array's file, as it was when first asked for: arrays are large."""
        return {view: digest_file(path) for view, path in self.arrays.items()}


@dataclass(frozen=True)
class PreparedData:
    """A data set, decoded, audited and split; the digests name its content and its split."""

    examined: ExaminedData
    split: SplitKind
    rows: list[SplitRow]  # of all cases, in the set's order
    as_split: AuditInput  # the audited images with their sides
    development: PreparedPart
    test: PreparedPart
    digest: str
    split_digest: str
    test_digest: str  # of the test images' bytes alone
    notes: tuple[str, ...]


def prepare_data(
    task: Task, data: Path, views: Sequence[View], request: SplitRequest, cache: Path, progress: Progress
) -> PreparedData:
    """Read, decode, audit and split a data set of the task's layout.

    Raises DataError for a wrong layout, for more than 5 % unreadable files, and for a split that cannot be made.
    """
    with staging_folder(cache) as staging:
        examined = examine_data(task, data, views, cache, staging, progress)
        return split_data(task, examined, views, request, cache, staging, progress)


def split_data(
    task: Task,
    examined: ExaminedData,
    views: Sequence[View],
    request: SplitRequest,
    cache: Path,
    staging: Path,
    progress: Progress,
) -> PreparedData:
    """Split examined data, and cache their images.

    Development and test images are cached apart, so that code that trains can be given the first alone. Raises
    DataError for a split that cannot be made.
    """
    decided = decide_sides(task, examined, request)
    as_split = _with_sides(examined.images, decided.sides)
    rows = _rows(examined, as_split, decided)
    parts: dict[Part, list[int]] = {
        "development": [case for case, side in enumerate(decided.sides) if side != "test"],
        "test": [case for case, side in enumerate(decided.sides) if side == "test"],
    }
    arrays = _write_parts(examined, parts, views, cache, staging, progress)
    chosen = {part: PreparedPart([rows[case] for case in cases], arrays[part]) for part, cases in parts.items()}
    return PreparedData(
        examined=examined,
        split=decided.kind,
        rows=rows,
        development=chosen["development"],
        test=chosen["test"],
        as_split=as_split,
        digest=examined.digest,
        split_digest=digest_rows(rows),
        test_digest=digest_test(examined.cases[case].sha256 for case in parts["test"]),
        notes=(*examined.data_set.notes, *decided.notes),
    )


def _with_sides(images: AuditInput, sides: Sequence[Side]) -> AuditInput:
    """Return the audited images with the sides of a split in place of those that the set ships."""
    return replace(images, images=[replace(image, shipped=sides[image.case]) for image in images.images])


def changed_since(data: PreparedData) -> list[str]:
    """Return the test cases whose files are no longer those of the plan."""
    case_of = {case.record.path: case for case in data.examined.cases}
    data_set = data.examined.data_set
    read = data_set.read if data_set.reopen is None else data_set.reopen()
    changed = []
    for row in data.test.rows:
        paths = [data.examined.paths[image] for image in case_of[row.path].rows]
        try:
            now = [hashlib.sha256(read(path)).hexdigest() for path in paths]
        except OSError:
            now = []
        if now != [data.examined.digests[image] for image in case_of[row.path].rows]:
            changed.append(row.path)
    return changed


def _rows(examined: ExaminedData, as_split: AuditInput, decided: DecidedSides) -> list[SplitRow]:
    seen = crossings(as_split, examined.audit.duplicates, examined.groups.group_N, "test", {"training", "validation"})
    leaks = {as_split.images[crossing.image].case: crossing.link for crossing in reversed(seen)}
    return [
        SplitRow(
            path=case.record.path,
            label=case.record.label,
            modality=case.record.modality,
            group=examined.groups.names[number],
            side=decided.sides[number],
            sha256=examined.digests[case.rows[0]],
            leak=leaks.get(number, ""),
            fold=decided.folds[number],
            second_path=case.record.second_path or "",
            second_sha256=examined.digests[case.rows[1]] if case.record.second_path else "",
        )
        for number, case in enumerate(examined.cases)
    ]


def _write_parts(
    examined: ExaminedData,
    parts: dict[Part, list[int]],
    views: Sequence[View],
    cache: Path,
    staging: Path,
    progress: Progress,
) -> dict[Part, dict[str, Path]]:
    """Make sure that each part's images are cached in every view; the set is decoded again only where they are not."""
    images = {part: [row for case in cases for row in examined.cases[case].rows] for part, cases in parts.items()}
    folders = {
        (part, view): part_folder(cache, part, [examined.digests[row] for row in rows], view)
        for part, rows in images.items()
        for view in views
    }
    missing = {
        (part, view): folder
        for (part, view), folder in folders.items()
        if not is_whole(folder, len(images[part]), view.side_px)
    }
    if missing:
        staged = examined.known.staged
        if staged is None:
            wanted = sorted({view for _, view in missing})
            staged = decode_images(examined.data_set.read, examined.paths, wanted, staging, progress)
            written = {row for part, _ in missing for row in images[part]}
            require_as_hashed(examined.paths, examined.digests, staged, sorted(written))
        for (part, view), folder in missing.items():
            write_part(folder, staged.arrays[view], images[part])
    return {part: {view.name: folders[part, view] / "images.npy" for view in views} for part in parts}
