"""A data folder -> every image decoded, measured and audited, not yet split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.audit.audit import Audit, audit_images
from trainables.audit.facts import AuditedImage, AuditInput
from trainables.catalog import Task
from trainables.data.cache import KnownImages, digest_images, know_images
from trainables.data.decoding import Progress
from trainables.data.grouping import CaseGroups, group_cases
from trainables.data.read import read_data_set
from trainables.data.records import DataSet, ImageRecord
from trainables.data.split_rows import digest_case, digest_cases
from trainables.data.views import View
from trainables.errors import DataError

MAX_UNREADABLE_FRACTION = 0.05


@dataclass(frozen=True)
class Case:
    """One case whose images can all be read: its record, and its images as rows of the decoded set."""

    record: ImageRecord
    rows: tuple[int, ...]
    sha256: str  # of its file, or of its files' digests


@dataclass(frozen=True)
class ExaminedData:
    """A data set as it was found; `cases`, `groups.names` and the `case` of audited images have one order."""

    data_set: DataSet
    paths: list[str]  # every image, readable or not, in the order of the decoded rows
    digests: list[str]
    known: KnownImages
    cases: list[Case]
    images: AuditInput
    audit: Audit
    groups: CaseGroups
    unreadable: dict[str, str]

    @property
    def digest(self) -> str:
        """Return the digest of every readable case's name, label and bytes."""
        return digest_cases((case.record.path, case.record.label, case.sha256) for case in self.cases)


def examine_data(
    task: Task, data: Path, views: Sequence[View], cache: Path, staging: Path, progress: Progress
) -> ExaminedData:
    """Read, hash, decode and audit a data set; decoded images are staged where they were not known yet.

    Raises DataError for a wrong layout and for more than 5 % unreadable files.
    """
    data_set = read_data_set(task, data)
    # In the order of the records: as text, row 10 comes before row 2, and a large table would be read many times.
    paths = list(dict.fromkeys(path for record in data_set.records for path in _paths(record)))
    digests = digest_images(data_set.read, paths, progress)
    known = know_images(cache, data_set.read, paths, digests, views, staging, progress)
    unreadable = {paths[row]: reason for row, reason in known.unreadable.items()}
    _refuse_many_unreadable(data_set.root, unreadable, len(paths))
    row_of = {path: row for row, path in enumerate(paths)}
    cases = [
        Case(
            record,
            tuple(row_of[path] for path in _paths(record)),
            digest_case([digests[row_of[p]] for p in _paths(record)]),
        )
        for record in data_set.records
        if not any(path in unreadable for path in _paths(record))
    ]
    images = _audit_input(task, cases, paths, known)
    audit = audit_images(images, cache / "audits", progress)
    groups = group_cases(images.images, audit.duplicates, audit.subjects.group_N)
    return ExaminedData(data_set, paths, digests, known, cases, images, audit, groups, unreadable)


def _paths(record: ImageRecord) -> tuple[str, ...]:
    return (record.path,) if record.second_path is None else (record.path, record.second_path)


def _modalities(task: Task, record: ImageRecord) -> list[str]:
    """Return the modality of each image of a case: of "CT+MR" the first is CT, the second MR."""
    if record.second_path is None:
        return [record.modality]
    told = record.modality.split("+")  # a manifest may say other things than the task, but not of which image
    return told if len(told) == 2 else task.modality.split("+")


def _audit_input(task: Task, cases: list[Case], paths: list[str], known: KnownImages) -> AuditInput:
    images, rows = [], []
    for number, case in enumerate(cases):
        record = case.record
        for row, modality in zip(case.rows, _modalities(task, record), strict=True):
            facts = known.facts[row]
            assert facts is not None
            images.append(
                AuditedImage(
                    path=paths[row],
                    case=number,
                    label=record.label,
                    shipped=record.shipped,
                    modality=modality,
                    patient_id=record.patient_id,
                    facts=facts,
                )
            )
            rows.append(row)
    whole = rows == list(range(len(paths)))
    return AuditInput(task.classes, images, known.thumbnails_NHW if whole else known.thumbnails_NHW[rows])


def _refuse_many_unreadable(root: Path, unreadable: dict[str, str], images: int) -> None:
    if len(unreadable) > MAX_UNREADABLE_FRACTION * images:
        examples = "; ".join(f"{path}: {reason}" for path, reason in list(unreadable.items())[:5])
        raise DataError(
            f"{root}: {len(unreadable)} of {images} images cannot be read, more than "
            f"{MAX_UNREADABLE_FRACTION:.0%}: {examples}"
        )
