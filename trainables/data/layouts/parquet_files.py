"""Opening parquet files, with what goes wrong in one line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.errors import DataError

BUFFER_BYTES = 1 << 20  # columns are read in pieces of this size, so that a large row group is streamed


def open_parquet(path: Path) -> Any:
    """Return a pyarrow ParquetFile. Raises DataError for a git-LFS pointer and for what is no parquet file."""
    try:
        with path.open("rb") as file:
            if file.read(19) == b"version https://git":
                raise DataError(f"{path}: a git-LFS pointer, not the file: fetch the real one (git lfs pull)")
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as parquet ({' '.join(str(error).split())[:200]})") from error


def read_column(path: Path, column: str) -> list[Any]:
    """Return one column as Python values; of a struct, "image.path" reads that field alone. Raises DataError."""
    with open_parquet(path) as file:
        try:
            values: list[Any] = file.read(columns=[column]).column(0).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path}: column {column!r} cannot be read ({' '.join(str(error).split())[:200]})"
            ) from error
    return [value.get(column.partition(".")[2]) if isinstance(value, dict) else value for value in values]


def first_value(path: Path, column: str) -> Any:
    """Return a column's first value as Python has it, None where there is none. Raises DataError."""
    with open_parquet(path) as file:
        try:
            return next((batch.column(0)[0].as_py() for batch in file.iter_batches(1, columns=[column])), None)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path}: column {column!r} cannot be read ({' '.join(str(error).split())[:200]})"
            ) from error


def is_image_table(path: Path) -> bool:
    """Say whether a parquet file holds images itself, in a column `image`. Raises DataError."""
    with open_parquet(path) as file:
        return "image" in file.schema_arrow.names


def check_image_column(path: Path, schema: Any) -> None:
    """Raise DataError unless a parquet schema has a column image {bytes, path}; the path may lack."""
    if "image" not in schema.names:
        got = ", ".join(f"{field.name}: {field.type}" for field in schema)[:300]
        raise DataError(f"{path}: expected a column image {{bytes, path}}, got {got or 'none'}")
    image = schema.field("image").type
    if not pa.types.is_struct(image) or image.get_field_index("bytes") < 0:
        raise DataError(f"{path}: column image must be a struct with a field 'bytes', got {image}")
    kind = image.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"{path}: the field image.bytes must be binary, got {kind}")
