"""The split as a table: one row per case with its side, its group and the digest of its bytes."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from trainables.data.records import Side
from trainables.errors import DataError

SIDES: dict[str, Side] = {"training": "training", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class SplitRow:
    """One readable case: its row in the decoded arrays is its place in its part's table.

    `sha256` is of the file at `path`. What begins with `second` is of the other image of a case that has two.
    `leak` says why a test case was seen in development ("copy", "near-duplicate", "patient", "subject"), else it is
    empty. `fold` is the fold in which a development case validates; -1 where there are no folds.
    """

    path: str
    label: int
    modality: str
    group: str
    side: Side
    sha256: str
    leak: str = ""
    fold: int = -1
    second_path: str = ""
    second_sha256: str = ""


def to_csv(rows: Sequence[SplitRow]) -> str:
    """Return rows as CSV, in their order; columns of second images are there only where a case has one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(SplitRow)]
    shown = names if any(row.second_path for row in rows) else [name for name in names if not name.startswith("second")]
    writer.writerow(shown)
    writer.writerows([getattr(row, name) for name in shown] for row in rows)
    return text.getvalue()


def digest_rows(rows: Sequence[SplitRow]) -> str:
    """Return the digest of a table; anything changed in it changes the digest."""
    return hashlib.sha256(to_csv(rows).encode()).hexdigest()[:32]


def digest_case(sha256s: Sequence[str]) -> str:
    """Return the digest of a case: that of its file, or of its files' digests."""
    return sha256s[0] if len(sha256s) == 1 else hashlib.sha256("\n".join(sha256s).encode()).hexdigest()


def digest_cases(cases: Iterable[tuple[str, int, str]]) -> str:
    """Return the digest of a data set from name, label and digest of every readable case, in the set's order."""
    lines = [f"{path}\t{label}\t{sha256}" for path, label, sha256 in cases]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def digest_test(sha256s: Iterable[str]) -> str:
    """Return the digest that the ledger of test reads knows some test cases by, whatever their names and order."""
    return hashlib.sha256("\n".join(sorted(sha256s)).encode()).hexdigest()[:32]


def write_rows(path: Path, rows: Sequence[SplitRow]) -> None:
    """Write rows as CSV."""
    path.write_text(to_csv(rows), encoding="utf-8")


def read_rows(path: Path, digest: str) -> list[SplitRow]:
    """Read what `write_rows` wrote. Raises DataError where it is not the table of this digest."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                SplitRow(
                    path=row["path"],
                    label=int(row["label"]),
                    modality=row["modality"],
                    group=row["group"],
                    side=SIDES[row["side"]],
                    sha256=row["sha256"],
                    leak=row["leak"],
                    fold=int(row["fold"]),
                    second_path=row.get("second_path", ""),
                    second_sha256=row.get("second_sha256", ""),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: the split cannot be read ({error!r}); run the sweep again") from error
    if digest_rows(rows) != digest:
        raise DataError(f"{path}: the split was changed since the plan (digest {digest}); run the sweep again")
    return rows
