"""The table of a manifest, CSV or parquet, as rows of text that know where they stand."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from trainables.data.layouts.parquet_files import open_parquet, read_column
from trainables.data.layouts.patients import known_patient
from trainables.errors import DataError

REQUIRED = ("path", "label")
OPTIONAL = ("patient_id", "split", "modality", "second_path")


@dataclass(frozen=True)
class Row:
    """One row; `where` is the file and line."""

    where: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a cell, empty where the table has no such column, or "nan" for a patient."""
        text = self.cells.get(column, "")
        return known_patient(text) if column == "patient_id" else text


def read_rows(path: Path, named: Mapping[str, str]) -> list[Row]:
    """Return the rows of a .csv or .parquet file; columns that nobody asked for are passed over.

    `named`: what this table calls a column, by the name that it is known by.
    Raises DataError for missing or mistyped columns, rows longer than the header, and an empty table.
    """
    rows = _parquet(path, named) if path.suffix.lower() == ".parquet" else _csv(path, named)
    if not rows:
        raise DataError(f"{path}: holds no rows")
    return rows


def header_of(path: Path) -> list[str]:
    """Return the names of a table's columns as it spells them. Raises DataError."""
    if path.suffix.lower() == ".parquet":
        with open_parquet(path) as file:
            return list(file.schema_arrow.names)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _csv(path: Path, named: Mapping[str, str]) -> list[Row]:
    rows = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            columns = _columns(path, header, named)
            for cells in reader:
                where = f"{path}: line {reader.line_num}"
                if len(cells) > len(header):
                    raise DataError(
                        f"{where}: {len(cells)} cells, the header has {len(header)}; quote cells with commas"
                    )
                if cells:
                    own = {name: cells[i].strip() for name, i in columns.items() if i < len(cells)}
                    rows.append(Row(where, own))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    return rows


def _parquet(path: Path, named: Mapping[str, str]) -> list[Row]:
    with open_parquet(path) as file:
        header = file.schema_arrow.names
    columns = {name: read_column(path, header[i]) for name, i in _columns(path, header, named).items()}
    num_rows = len(columns["path"])
    return [
        Row(f"{path}: row {row}", {name: _as_text(values[row]) for name, values in columns.items()})
        for row in range(num_rows)
    ]


def _as_text(value: object) -> str:
    missing = value is None or value != value  # NaN, pandas' way of an empty cell
    if isinstance(value, float) and value.is_integer():  # pandas makes floats of whole numbers beside empty cells
        return str(int(value))
    return "" if missing else str(value).strip()


def _columns(path: Path, header: Sequence[str], named: Mapping[str, str]) -> dict[str, int]:
    """Return where the known columns stand; "second path" is second_path. A near miss is a fault, never passed over."""
    columns: dict[str, int] = {}
    spelled = {spelled_column(theirs): known for known, theirs in named.items()}
    lacking = set(spelled) - {spelled_column(given) for given in header}
    if lacking:
        raise DataError(
            f"{path}: no column {', '.join(sorted(lacking))}, which the task names; got {', '.join(header)}"
        )
    for index, given in enumerate(header):
        name = spelled_column(given)
        name = spelled.get(name, f"another {name}" if name in named else name)  # another's name in this table
        if name in columns:
            raise DataError(f"{path}: column {name!r} stands twice")
        if name in REQUIRED + OPTIONAL:
            columns[name] = index
        elif (near := get_close_matches(name, REQUIRED + OPTIONAL, n=1, cutoff=0.8)) and near[0] not in named:
            raise DataError(f"{path}: no column {given!r} is known; did you mean {near[0]!r}?")
    if not set(REQUIRED) <= set(columns):
        got = ", ".join(map(str, header))[:200] or "none"
        raise DataError(f"{path}: expected columns {', '.join(REQUIRED)}, separated by commas, got {got}")
    return columns


def spelled_column(column: str) -> str:
    """Return a column's name as it is compared: "Second Path" is second_path."""
    return "_".join(column.strip().lower().split())
