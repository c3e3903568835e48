"""pairs.csv: which CT and which MR image are one case, said by the user (columns ct, mri, optional patient_id)."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from trainables.data.layouts.csv_table import read_csv_table
from trainables.data.layouts.patients import known_patient
from trainables.errors import DataError

TABLE = "pairs.csv"


@dataclass(frozen=True)
class TablePair:
    """One row; `where` names it in messages."""

    ct: str
    mr: str
    patient_id: str | None
    where: str


def read_pairs(root: Path, ct: Container[str], mr: Container[str]) -> list[TablePair]:
    """Return the rows of root/pairs.csv; `ct` and `mr` are the paths that the trees hold.

    Raises DataError for other columns, paths that are no image of their tree, an image in two pairs, and patients
    that are given for some rows only.
    """
    table = root / TABLE
    pairs = [
        TablePair(row["ct"], row["mri"], known_patient(row.get("patient_id", "")) or None, f"{table}: line {line}")
        for line, row in read_csv_table(table, ("ct", "mri"))
    ]
    _check(table, pairs, ct, mr)
    return pairs


def _check(table: Path, pairs: list[TablePair], ct: Container[str], mr: Container[str]) -> None:
    if not pairs:
        raise DataError(f"{table}: names no pair; fill it or remove it")
    seen: set[str] = set()
    for pair in pairs:
        for path, column, own, other in ((pair.ct, "ct", ct, mr), (pair.mr, "mri", mr, ct)):
            if path not in own:
                what = "lies in the other tree" if path in other else f"is no image below {table.parent}"
                raise DataError(f"{pair.where}: {column} {path!r} {what}; paths are relative, with forward slashes")
            if path in seen:
                raise DataError(f"{pair.where}: {path!r} stands in two pairs; each image belongs to one case")
            seen.add(path)
    without = [pair for pair in pairs if pair.patient_id is None]
    if without and len(without) < len(pairs):
        raise DataError(f"{without[0].where}: no patient_id while other rows have one; fill it for every pair or none")
