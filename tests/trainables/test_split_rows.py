from pathlib import Path

import pytest

from trainables.data.split_rows import SplitRow, digest_rows, digest_test, read_rows, write_rows
from trainables.errors import DataError

ROWS = [
    SplitRow("a, b (1).png", 0, "MR", "patient-1", "training", "aa", fold=1),
    SplitRow("ü.png", 1, "CT", "patient-2", "test", "bb", leak="near-duplicate"),
]


def test_rows_survive_the_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    assert read_rows(tmp_path / "rows.csv", digest_rows(ROWS)) == ROWS


@pytest.mark.parametrize(
    ("before", "after"),
    [("training", "test"), ("patient-1", "patient-2"), ("aa", "ab"), ("near-duplicate", ""), ("1", "0")],
)
def test_a_split_that_was_tampered_with_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, ROWS)
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    with pytest.raises(DataError, match="the split was changed since the plan"):
        read_rows(path, digest_rows(ROWS))


@pytest.mark.parametrize("content", ["", "path,label\nx,1\n", "garbage"])
def test_a_damaged_split_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(DataError, match="split"):
        read_rows(tmp_path / "rows.csv", digest_rows(ROWS))


def test_test_images_are_known_by_content_alone() -> None:
    assert digest_test(["b", "a"]) == digest_test(["a", "b"]) != digest_test(["a", "c"])
