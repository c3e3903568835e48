"""Images without labels: whatever a user names becomes a list of names and ways to read them."""

from pathlib import Path

import pytest
from set_support import image_bytes, write_images, write_rows, write_table

from trainables.data.unlabelled import UnlabelledImage, list_images
from trainables.errors import DataError


def listed(*paths: object) -> list[UnlabelledImage]:
    return list_images(map(str, paths))


def test_files_and_folders_keep_the_order_given(tmp_path: Path) -> None:
    write_images(tmp_path, "in/b.png", "in/deep/a.jpg", "alone.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "in" / "list.csv").write_text("path\nnowhere.png\n")
    found = listed(tmp_path / "in", tmp_path / "alone.png")
    assert [image.name for image in found] == [
        f"{tmp_path}/in/b.png",
        f"{tmp_path}/in/deep/a.jpg",
        f"{tmp_path}/alone.png",
    ]
    assert found[0].read() == (tmp_path / "in" / "b.png").read_bytes()


def test_rows_of_parquet_files_are_named_by_number(tmp_path: Path) -> None:
    first = write_rows(tmp_path / "set" / "one.parquet", [0] * 4)
    second = write_rows(tmp_path / "set" / "two.parquet", [0] * 2)
    found = listed(tmp_path / "set" / "two.parquet", tmp_path / "set")
    names = [f"two.parquet#{row}" for row in range(2)]
    names += [f"one.parquet#{row}" for row in range(4)] + names
    assert [image.name for image in found] == [f"{tmp_path}/set/{name}" for name in names]
    assert [image.read() for image in found] == [*second, *first, *second]
    assert {image.file for image in found} == {tmp_path / "set" / "one.parquet", tmp_path / "set" / "two.parquet"}


def test_a_folder_of_images_and_tables_gives_both_and_no_table_of_other_things(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_images(tmp_path, "a.png")
    write_rows(tmp_path / "rows.parquet", [0])
    pq.write_table(pa.table({"path": ["a.png"], "label": [0]}), tmp_path / "manifest.parquet")
    assert [Path(image.name).name for image in listed(tmp_path)] == ["a.png", "rows.parquet#0"]
    with pytest.raises(DataError, match=r"manifest\.parquet: expected a column image {bytes, path}, got path: string"):
        listed(tmp_path / "manifest.parquet")


def test_a_csv_names_paths_from_its_own_folder_and_needs_no_label(tmp_path: Path) -> None:
    write_images(tmp_path, "scans/a.png")
    table = write_table(tmp_path / "list.csv", "who,path", "p1, scans/a.png ", "p2,scans/gone.png", "p3,")
    found = listed(table)
    assert [image.name for image in found] == [
        f"{tmp_path}/scans/a.png",
        f"{tmp_path}/scans/gone.png",
        f"{table}: line 4",
    ]
    assert found[0].read() == (tmp_path / "scans" / "a.png").read_bytes()
    with pytest.raises(FileNotFoundError):
        found[1].read()
    with pytest.raises(OSError, match="no path"):
        found[2].read()


def test_a_damaged_parquet_file_is_one_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    (image,) = listed(tmp_path / "torn.parquet")
    with pytest.raises(OSError, match="cannot be read as parquet"):
        image.read()


def test_a_row_without_bytes_is_left_to_be_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.array([{"bytes": image_bytes()}, {"bytes": None}], pa.struct([("bytes", pa.binary())]))
    pq.write_table(pa.table({"image": rows}), tmp_path / "rows.parquet")
    good, bad = listed(tmp_path / "rows.parquet")
    assert good.read() == image_bytes()
    with pytest.raises(OSError, match="holds no image bytes"):
        bad.read()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "an empty path: no such file or folder"),
        ("nowhere.png", "nowhere.png: no such file or folder"),
        ("empty", "no image in this folder, and no parquet file of images"),
        ("label.csv", "label.csv: expected columns path, got file, label"),
        ("bare.csv", "bare.csv: holds no rows"),
    ],
)
def test_what_names_no_image_is_told_in_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "label.csv").write_text("file,label\na.png,0\n")
    (tmp_path / "bare.csv").write_text("path\n")
    with pytest.raises(DataError) as caught:
        listed(tmp_path / name if name else "")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
