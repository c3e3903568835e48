"""CSV tables that lie beside a set's images: patients.csv and pairs.csv."""

import csv
from pathlib import Path

from trainables.errors import DataError


def read_csv_table(table: Path, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row; a cell that is missing is empty.

    Raises DataError for a file that is no CSV in UTF-8, and for one that lacks a required column.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            if not set(required) <= set(columns):
                got = ", ".join(columns) or "none"
                raise DataError(f"{table}: expected columns {', '.join(required)}, got {got}")
            twice = [name for name in required if columns.count(name) > 1]
            if twice:
                raise DataError(f"{table}: column {twice[0]} stands twice; keep one")
            return [(reader.line_num, {name: row[name] or "" for name in columns}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read as CSV in UTF-8 ({error})") from error
