from pathlib import Path

import pytest

from trainables.data.split_rows import SplitRow, digest_rows, digest_test, read_rows, to_csv, write_rows
from trainables.errors import DataError

ROWS = [
    SplitRow("a, b (1).png", 0, "MR", "patient-1", "training", "aa", fold=1),
    SplitRow("ü.png", 1, "CT", "patient-2", "test", "bb", leak="near-duplicate"),
]


TWO_IMAGES = [
    SplitRow("ct.png", 0, "CT+MR", "g", "test", "aa", second_path="mr, 1.png", second_sha256="bb"),
    SplitRow("ct2.png", 1, "CT+MR", "h", "training", "cc", fold=2, second_path="mr2.png", second_sha256="dd"),
]


@pytest.mark.parametrize("rows", [ROWS, TWO_IMAGES])
def test_rows_survive_the_file(tmp_path: Path, rows: list[SplitRow]) -> None:
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv", digest_rows(rows)) == rows


def test_a_set_of_one_image_per_case_has_the_columns_and_the_digest_that_it_always_had(tmp_path: Path) -> None:
    always = """path,label,modality,group,side,sha256,leak,fold
"a, b (1).png",0,MR,patient-1,training,aa,,1
ü.png,1,CT,patient-2,test,bb,near-duplicate,-1
"""
    assert to_csv(ROWS) == always
    (tmp_path / "rows.csv").write_text(always, encoding="utf-8")
    assert read_rows(tmp_path / "rows.csv", digest_rows(ROWS)) == ROWS


@pytest.mark.parametrize(("before", "after"), [("mr, 1.png", "mr2.png"), ("bb", "be")])
def test_a_second_image_that_was_exchanged_in_the_table_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, TWO_IMAGES)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(DataError, match="the split was changed since the plan"):
        read_rows(path, digest_rows(TWO_IMAGES))


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
