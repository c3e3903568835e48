import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from set_support import LFS_POINTER, MISLEADING, STAGES, counts, image_bytes, write_rows, write_table

from trainables.catalog import TASKS
from trainables.data.examine import examine_data
from trainables.data.layouts import parquet_images
from trainables.data.layouts.parquet_rows import read
from trainables.errors import DataError

TASK = TASKS["alzheimer"]
TRAIN, TEST = "data/train-00000-of-00001-0b7d.parquet", "data/test-00000-of-00001-9c2f.parquet"
LABELS = [2, 2, 3, 0, 1, 2, 2, 3, 2, 0, 2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_rows(tmp_path / "set" / TRAIN, LABELS)
    write_rows(tmp_path / "set" / TEST, [2, 3, 0], stored="test_")
    return tmp_path / "set"


def test_each_row_is_a_case_in_the_order_of_files_and_rows(root: Path) -> None:
    data = read(TASK, root)
    assert [record.path for record in data.records] == [f"{TEST}#{i}" for i in range(3)] + [
        f"{TRAIN}#{i}" for i in range(11)
    ]
    assert [record.label for record in data.records] == [2, 3, 0, *LABELS]
    assert counts(data)["test", 2] == 1
    assert {(record.modality, record.patient_id) for record in data.records} == {("MR", None)}
    assert data.notes == ()


def test_the_stored_file_name_which_spells_the_class_reaches_no_record(root: Path) -> None:
    assert "moderate_" not in repr(read(TASK, root).records)


def test_bytes_are_those_of_the_row_in_any_order_and_from_threads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = write_rows(root / TRAIN, [row % 4 for row in range(200)], row_group_rows=7)
    for block_bytes in (1, 3000, 1 << 20):  # blocks of one row, of a few across row groups, of everything
        monkeypatch.setattr(parquet_images, "BLOCK_BYTES", block_bytes)
        data = read(TASK, root)
        rows = [0, 199, 3, 2, 150, 151, 7, 6, *range(200)]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(data.read, [f"{TRAIN}#{row}" for row in rows])) == [contents[row] for row in rows]


def test_a_file_is_streamed_once_and_never_held_as_a_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(root / TRAIN, [row % 4 for row in range(400)], row_group_rows=400)
    monkeypatch.setattr(parquet_images, "BLOCK_BYTES", 2000)
    starts = []
    stream = parquet_images._stream_blocks
    monkeypatch.setattr(parquet_images, "_stream_blocks", lambda *where: starts.append(where) or stream(*where))
    images = parquet_images.ParquetImages(root, [TRAIN])
    for row in range(400):
        images.read(f"{TRAIN}#{row}")
    assert len(starts) == 1
    held = sum(len(block) for block in images._blocks.values())
    assert 0 < held < 100, "only the latest blocks are kept"


def test_rows_that_cannot_be_had_are_read_errors(root: Path) -> None:
    rows = [{"image": {"bytes": None, "path": "a.jpg"}, "label": 0}, {"image": None, "label": 1}]
    rows += [{"image": {"bytes": image_bytes(), "path": "b.jpg"}, "label": label} for label in (2, 3)]
    pq.write_table(pa.Table.from_pylist(rows), root / TRAIN)
    data = read(TASK, root)
    for row in (0, 1):
        with pytest.raises(OSError, match=f"#{row}: the row holds no image bytes"):
            data.read(f"{TRAIN}#{row}")
    assert data.read(f"{TRAIN}#2") == image_bytes()
    for path in (f"{TRAIN}#4", f"{TRAIN}#-1", f"{TRAIN}#", TRAIN, "other.parquet#0"):
        with pytest.raises(OSError, match="no such row"):
            data.read(path)
    (root / TRAIN).unlink()
    with pytest.raises(OSError, match="cannot be read"):
        read(TASK, write_and_break(root)).read(f"{TRAIN}#0")


def write_and_break(root: Path) -> Path:
    """Write a file whose labels are whole and whose first images are not."""
    write_rows(root / TRAIN, LABELS, row_group_rows=2)
    content = bytearray((root / TRAIN).read_bytes())
    content[4:400] = bytes(396)
    (root / TRAIN).write_bytes(content)
    return root


@pytest.mark.parametrize("given", ["set", "set/data", "."])
def test_the_root_is_found_one_level_up_or_down(root: Path, given: str) -> None:
    assert read(TASK, root.parent / given).records == read(TASK, root).records


def test_files_may_lie_in_the_root_and_anywhere(root: Path, tmp_path: Path) -> None:
    before = [(record.label, record.shipped) for record in read(TASK, root).records]
    flat = tmp_path / MISLEADING / "test" / "train"
    shutil.copytree(root / "data", flat)
    (flat / ".hidden.parquet").write_bytes(b"x")
    (flat / "README.md").write_text("x")
    data = read(TASK, flat)
    assert [(record.label, record.shipped) for record in data.records] == before
    assert data.records[0].path == Path(TEST).name + "#0"


def test_one_file_is_a_set_without_a_split(root: Path) -> None:
    data = read(TASK, root / TRAIN)
    assert [record.path for record in data.records] == [f"{Path(TRAIN).name}#{i}" for i in range(11)]
    assert {record.shipped for record in data.records} == {None}
    assert "as if it shipped no split" in data.notes[0]
    (root / TRAIN).rename(root / "images.parquet")
    assert read(TASK, root / "images.parquet").notes == ()


@pytest.mark.parametrize(
    ("name", "side"), [("validation-0.parquet", "validation"), ("val.parquet", "validation"), ("test.parquet", "test")]
)
def test_file_names_tell_the_side(root: Path, name: str, side: str) -> None:
    (root / TEST).rename(root / "data" / name)
    assert {record.shipped for record in read(TASK, root).records} == {"training", side}


def test_a_small_test_side_may_lack_the_rarest_class_training_may_not(root: Path) -> None:
    assert ("test", 1) not in counts(read(TASK, root))
    write_rows(root / TRAIN, [0, 2, 3])
    write_rows(root / TEST, [1, 1])
    with pytest.raises(DataError, match="no training rows of class 'moderate'"):
        read(TASK, root)


def test_class_names_in_the_metadata_decide(root: Path) -> None:
    write_rows(root / TRAIN, LABELS, names=None)
    assert [record.label for record in read(TASK, root).records[3:]] == LABELS
    write_rows(root / TRAIN, LABELS, names=[STAGES[2], STAGES[0], STAGES[1], STAGES[3]])
    data = read(TASK, root)
    assert [record.label for record in data.records[3:]] == [{0: 2, 1: 0, 2: 1, 3: 3}[label] for label in LABELS]
    assert "labels are in another order" in data.notes[0]
    write_rows(root / TRAIN, [STAGES[label] for label in LABELS], names=None)
    assert [record.label for record in read(TASK, root).records[3:]] == LABELS


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0, 1, 2, 4], STAGES, "row 3: label 4 is no class of alzheimer; labels are \\[0, 1, 2, 3\\]"),
        ([0, 1, None, 3], STAGES, "row 2: label None is no class"),
        (["Mild", "Modrate"], None, "row 1: label 'Modrate' is no class of alzheimer; did you mean 'moderate'"),
        ([True, False], None, "row 0: label True is no class"),
        ([0, 1], ["Mild", "Severe"], "calls label 1 'Severe', which names no class"),
        ([0, 1], ["Mild", "mild demented"], "another label names already"),
    ],
)
def test_labels_that_are_no_class_are_refused(root: Path, labels: list, names: list | None, words: str) -> None:
    write_rows(root / TRAIN, labels, names=names)
    with pytest.raises(DataError, match=words):
        read(TASK, root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LFS_POINTER, "a git-LFS pointer, not the file: fetch the real one"),
        (b"", "cannot be read as parquet"),
        (b"PAR1 and no more", "cannot be read as parquet"),
    ],
)
def test_what_is_no_parquet_file_is_told(root: Path, content: bytes, words: str) -> None:
    (root / TRAIN).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read(TASK, root)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"picture": [b"x"], "label": [0]}, "expected columns image and label, got picture: binary, label: int64"),
        ({"image": [b"x"], "label": [0]}, "must be a struct with a field 'bytes', got binary"),
        ({"image": [{"bytes": "text"}], "label": [0]}, r"image\.bytes must be binary, got string"),
    ],
)
def test_other_columns_are_refused(root: Path, rows: dict, words: str) -> None:
    pq.write_table(pa.table(rows), root / TRAIN)
    with pytest.raises(DataError, match=words):
        read(TASK, root)


def test_other_folders_are_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is empty; expected train-\*\.parquet"):
        read(TASK, tmp_path / "empty")
    shutil.copy(root / TRAIN, root / "data/0000.parquet")
    with pytest.raises(DataError, match=r"0000\.parquet: the name tells no side while others do"):
        read(TASK, root)


def test_patients_are_named_by_row_or_by_stored_file_name(root: Path) -> None:
    by_row = [f"{TRAIN}#{row},p{row // 4}" for row in range(11)]
    write_table(root / "patients.csv", "path,patient_id", *by_row)
    expected = [None] * 3 + [f"p{row // 4}" for row in range(11)]
    assert [record.patient_id for record in read(TASK, root).records] == expected
    write_table(root / "patients.csv", "path,patient_id", *(f"moderate_{row}.jpg,p{row // 4}" for row in range(11)))
    assert [record.patient_id for record in read(TASK, root).records] == expected
    write_table(root / "patients.csv", "path,patient_id", *by_row[1:])
    with pytest.raises(DataError, match="1 of 11 images that need a patient are not in it"):
        read(TASK, root)


def test_stored_file_names_that_are_not_unique_name_no_patient(root: Path) -> None:
    write_rows(root / TEST, [2, 3, 0])
    write_table(root / "patients.csv", "path,patient_id", "moderate_0.jpg,p0")
    with pytest.raises(DataError, match="stored in rows are not unique; name rows like 'data/test"):
        read(TASK, root)


def test_patients_of_the_whole_set_count_for_one_of_its_files(root: Path) -> None:
    write_table(root / "patients.csv", "path,patient_id", *(f"{TRAIN}#{row},p{row // 4}" for row in range(11)))
    data = read(TASK, root / TRAIN)
    assert [record.patient_id for record in data.records] == [f"p{row // 4}" for row in range(11)]
    assert data.read(data.records[0].path)
    (root / "patients.csv").rename(root / "data/patients.csv")
    for given in (root, root / "data"):
        with pytest.raises(DataError, match=r"data/patients\.csv: is not read there; move it to"):
            read(TASK, given)


def test_images_in_the_root_and_in_data_are_not_half_a_set(root: Path) -> None:
    pq.write_table(pa.table({"age": [7]}), root / "ages.parquet")
    assert len(read(TASK, root).records) == 14
    write_rows(root / "validation-0.parquet", [0, 1, 2, 3])
    for given in (root, root / "data"):
        with pytest.raises(DataError, match=r"validation-0\.parquet: holds images beside those in data/; move it"):
            read(TASK, given)


def test_a_set_is_hashed_and_decoded_in_the_order_of_its_rows(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(root / TRAIN, [row % 4 for row in range(120)], row_group_rows=120)
    decoded = []

    def counted(*where):
        for images in stream(*where):
            decoded.append(len(images))
            yield images

    stream = parquet_images._stream_blocks
    monkeypatch.setattr(parquet_images, "_stream_blocks", counted)
    monkeypatch.setattr(parquet_images, "_block_rows", lambda path: 5)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    (tmp_path / "staging").mkdir()
    examined = examine_data(TASK, root, (), tmp_path / "cache", tmp_path / "staging", lambda what, done, of: None)
    assert len(examined.paths) == 123
    assert sum(decoded) == 2 * 123, "once for the digests and once for the pixels"
