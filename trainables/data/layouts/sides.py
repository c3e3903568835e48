"""The usual spellings of training, validation and test in folders, file names and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from trainables.data.records import ImageRecord, Side

SPELLINGS: Mapping[str, Side] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def side_named(text: str) -> Side | None:
    """Return the side that a word names, or None; case does not matter."""
    return SPELLINGS.get(text.strip().casefold())


def without_lone_side(records: Sequence[ImageRecord]) -> tuple[list[ImageRecord], tuple[str, ...]]:
    """Return the records and a note: where one side holds every case, the set ships no split at all."""
    sides = {record.shipped for record in records}
    if len(sides) != 1 or sides == {None}:
        return list(records), ()
    note = f"all images stand on one side ({sides.pop()}): the set is split as if it shipped no split"
    return [replace(record, shipped=None) for record in records], (note,)
