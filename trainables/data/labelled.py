"""A labelled data set for a finished model: every readable case with its bytes, whatever side it would stand on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.catalog import Task
from trainables.data.read import read_data_set
from trainables.data.records import DataSet, ImageRecord, Read, is_phantom
from trainables.data.split_rows import SplitRow, digest_case, digest_cases


@dataclass(frozen=True)
class LabelledBatch:
    """Some cases as they are on the disk; `contents` holds the images of each, `faults` why one cannot be read."""

    contents: list[list[bytes]]
    faults: list[str]


@dataclass(frozen=True)
class LabelledSet:
    """All cases of a set in its order; none is opened before it is asked for."""

    data_set: DataSet
    is_phantom: bool

    @classmethod
    def of(cls, task: Task, data: Path) -> "LabelledSet":
        """Return the set at a folder, manifest or parquet file. Raises DataError as `read_data_set`."""
        data_set = read_data_set(task, data)
        return cls(data_set, is_phantom(data_set))

    @property
    def records(self) -> Sequence[ImageRecord]:
        """Return the cases."""
        return self.data_set.records

    def reader(self) -> Read:
        """Return how an image is read as it is now."""
        return self.data_set.read if self.data_set.reopen is None else self.data_set.reopen()

    def batches(self, size: int) -> Iterator[LabelledBatch]:
        """Yield the cases in order, `size` at a time."""
        read = self.reader()
        for start in range(0, len(self.records), size):
            cases = [_contents(record, read) for record in self.records[start : start + size]]
            yield LabelledBatch([contents for contents, _ in cases], [fault for _, fault in cases])

    def rows(self, digests: Sequence[Sequence[str]], chosen: Sequence[int]) -> list[SplitRow]:
        """Return some cases as the rows of an evaluation's test side; `digests` are those of each case's images.

        Their groups are patients where the set names them, else each case is one by itself: nothing is audited here.
        """
        return [_row(self.records[case], digests[case]) for case in chosen]


def digests_of(batch: LabelledBatch) -> list[list[str]]:
    """Return the digest of each image of each case."""
    return [[hashlib.sha256(content).hexdigest() for content in contents] for contents in batch.contents]


def data_digest(rows: Sequence[SplitRow]) -> str:
    """Return the digest that a sweep on these cases would name its data by."""
    own = ([row.sha256, row.second_sha256] if row.second_sha256 else [row.sha256] for row in rows)
    return digest_cases((row.path, row.label, digest_case(sha256s)) for row, sha256s in zip(rows, own, strict=True))


def _contents(record: ImageRecord, read: Read) -> tuple[list[bytes], str]:
    paths = [record.path] if record.second_path is None else [record.path, record.second_path]
    contents = []
    for path in paths:
        try:
            contents.append(read(path))
        except OSError as error:
            where = "" if len(paths) == 1 else f"{path}: "
            return [b""] * len(paths), f"{where}{error.strerror or error}"
    return contents, ""


def _row(record: ImageRecord, sha256s: Sequence[str]) -> SplitRow:
    return SplitRow(
        path=record.path,
        label=record.label,
        modality=record.modality,
        group=record.patient_id or record.path,
        side="test",
        sha256=sha256s[0],
        second_path=record.second_path or "",
        second_sha256=sha256s[1] if record.second_path else "",
    )
