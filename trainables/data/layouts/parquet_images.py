"""Image bytes of parquet rows, a block of rows at a time."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from trainables.data.layouts.parquet_files import open_parquet
from trainables.errors import DataError

BLOCK_BYTES = 32 << 20  # rows of about so many bytes are decoded together
CACHED_BLOCKS = 4

Images = list[bytes | None]


@dataclass
class _Stream:
    """An open file that has been read up to a block."""

    file: str
    next_block: int
    blocks: Iterator[Images]


class ParquetImages:
    """`read("data/train.parquet#17")` gives row 17's image; a file is never in memory as a whole.

    Rows that are asked for nearly in order are read once, and some of them are remembered. May be called from several
    threads.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self._root = root
        self._names = frozenset(names)
        self._block_rows: dict[str, int] = {}
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[str, int], Images] = OrderedDict()
        self._stream: _Stream | None = None

    def read(self, path: str) -> bytes:
        """Return the bytes of one row's image. Raises OSError."""
        name, _, row = path.rpartition("#")
        if name not in self._names or not row.isdecimal():
            raise FileNotFoundError(f"{path}: no such row")
        with self._lock:
            block, offset = divmod(int(row), self._rows_of_a_block(name))
            images = self._block(name, block)
        if offset >= len(images):
            raise FileNotFoundError(f"{path}: no such row")
        content = images[offset]
        if not isinstance(content, bytes):  # None, or text where the file was replaced
            raise OSError(f"{path}: the row holds no image bytes")
        return content

    def _rows_of_a_block(self, name: str) -> int:
        if name not in self._block_rows:
            try:
                self._block_rows[name] = _block_rows(self._root / name)
            except (pa.ArrowException, DataError) as error:
                raise _unreadable(name, error) from error
        return self._block_rows[name]

    def _block(self, name: str, block: int) -> Images:
        key = (name, block)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        try:
            images = self._advance_to(name, block)
        except (pa.ArrowException, OSError, DataError) as error:
            self._stream = None
            raise _unreadable(name, error) from error
        self._blocks[key] = images
        while len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return images

    def _advance_to(self, name: str, block: int) -> Images:
        """Read on to a block; where it lies behind, start again at its row group."""
        stream = self._stream
        if stream is None or stream.file != name or stream.next_block > block:
            stream = _Stream(name, block, _stream_blocks(self._root / name, self._block_rows[name], block))
        self._stream = None  # an error on the way leaves no stream at an unknown place
        images: Images = []
        while stream.next_block <= block:
            images = next(stream.blocks, [])
            stream.next_block += 1
        self._stream = stream
        return images


def _unreadable(name: str, error: Exception) -> OSError:
    return OSError(f"{name}: cannot be read ({' '.join(str(error).split())[:200]})")


def _block_rows(path: Path) -> int:
    with open_parquet(path) as file:
        metadata: Any = file.metadata
        num_bytes = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        return max(1, int(BLOCK_BYTES * metadata.num_rows / max(num_bytes, 1)))


def _stream_blocks(path: Path, block_rows: int, first_block: int) -> Iterator[Images]:
    """Yield the image bytes of block_rows rows after block_rows rows; only the last block is shorter."""
    with open_parquet(path) as file:
        group, before = _row_group_of(file.metadata, first_block * block_rows)
        groups = list(range(group, file.num_row_groups))
        rows: Images = []
        for batch in file.iter_batches(min(block_rows, 1024), row_groups=groups, columns=["image.bytes"]):
            if batch.num_columns == 0:
                raise DataError(f"{path}: holds no images in a column image {{bytes, path}}")
            rows += [image["bytes"] if isinstance(image, dict) else None for image in batch.column(0).to_pylist()]
            skipped = min(before, len(rows))
            del rows[:skipped]
            before -= skipped
            while len(rows) >= block_rows:
                yield rows[:block_rows]
                del rows[:block_rows]
        yield rows


def _row_group_of(metadata: Any, row: int) -> tuple[int, int]:
    """Return the row group that holds a row, and how many of its rows lie before it."""
    for group in range(metadata.num_row_groups):
        num_rows = metadata.row_group(group).num_rows
        if row < num_rows:
            return group, row
        row -= num_rows
    return metadata.num_row_groups, 0
