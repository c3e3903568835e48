from pathlib import Path

import pandas as pd
import pytest
from set_support import LFS_POINTER, write_images, write_rows, write_table

from trainables.catalog import TASKS
from trainables.data.images import decode_grey
from trainables.data.layouts.manifest import read
from trainables.data.read import read_data_set
from trainables.errors import DataError

TASK, PAIRS = TASKS["tumor_4class"], TASKS["tumor_ct_mri"]
ROWS = ["scans/a (1).png,glioma", "scans/b.jpg,1", "c.tif,No Tumor", "ü.png,pituitary"]
NAMES = [row.rpartition(",")[0] for row in ROWS]
SIDES = ("train", "Val", "TEST", "training")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_images(tmp_path, *NAMES)
    return write_table(tmp_path / "mine.csv", "path,label", *ROWS)


def test_names_and_indices_are_classes(table: Path) -> None:
    data = read(TASK, table)
    assert [(record.path, record.label) for record in data.records] == [
        ("c.tif", 2), ("scans/a (1).png", 0), ("scans/b.jpg", 1), ("ü.png", 3)
    ]  # fmt: skip
    assert {(record.shipped, record.modality, record.patient_id) for record in data.records} == {(None, "MR", None)}
    assert data.root == table.parent
    assert data.notes == ()
    for record in data.records:
        assert decode_grey(data.read(record.path)).shape == (8, 8)


def test_all_columns_are_read_and_foreign_ones_passed_over(table: Path) -> None:
    lines = [f"7,{name},{k},p{k},{side},CT,x" for k, (name, side) in enumerate(zip(NAMES, SIDES, strict=True))]
    write_table(table, "age,Path, LABEL ,patient_id,Split,modality,remark", *lines)
    found = {record.path: (record.shipped, record.patient_id, record.modality) for record in read(TASK, table).records}
    sides = ("training", "validation", "test", "training")
    assert found == {name: (side, f"p{k}", "CT") for k, (name, side) in enumerate(zip(NAMES, sides, strict=True))}


@pytest.mark.parametrize(("spelling", "side"), [("valid", "validation"), ("testing", "test"), ("Training", "training")])
def test_sides_have_many_spellings(table: Path, spelling: str, side: str) -> None:
    write_table(table, "path,label,split", *(f"{row},{spelling if k else 'validation'}" for k, row in enumerate(ROWS)))
    shipped = {record.path: record.shipped for record in read(TASK, table).records}
    assert shipped[NAMES[1]] == (side if side != "validation" else None), "one side alone is no split"


def test_a_parquet_table_says_the_same(table: Path) -> None:
    parquet = table.with_name("mine.parquet")
    frame = pd.DataFrame({"path": NAMES, "label": [0, 1, 2, 3], "patient_id": ["p1", "p1", "p2", "p3"]})
    frame.to_parquet(parquet)
    data = read_data_set(TASK, parquet)
    assert [record.label for record in data.records] == [record.label for record in read(TASK, table).records]
    assert [record.patient_id for record in data.records] == ["p2", "p1", "p1", "p3"]
    frame.assign(patient_id=[None] * 4, label=["glioma", "meningioma", "no", "pituitary"]).to_parquet(parquet)
    assert {record.patient_id for record in read_data_set(TASK, parquet).records} == {None}
    frame.assign(label=[0, 1, 2, 9]).to_parquet(parquet)
    with pytest.raises(DataError, match=r"mine\.parquet: row 3: label 9 is no class index"):
        read_data_set(TASK, parquet)


def test_floats_are_indices_as_in_a_parquet_table(table: Path) -> None:
    write_table(table, "path,label", *(f"{name},{k}.0" for k, name in enumerate(NAMES)))
    assert {record.path: record.label for record in read(TASK, table).records} == {n: k for k, n in enumerate(NAMES)}


def test_an_image_is_listed_once_by_whatever_folder(table: Path) -> None:
    (table.parent / "linked").symlink_to(table.parent / "scans")
    (table.parent / "copy.jpg").symlink_to(table.parent / "scans/b.jpg")  # a store of contents looks like this
    write_table(table, "path,label", *ROWS, "copy.jpg,1")
    assert len(read(TASK, table).records) == 5
    write_table(table, "path,label", *ROWS, "linked/b.jpg,1")
    with pytest.raises(DataError, match=r"'linked/b.jpg' is listed already \(line 3 as 'scans/b.jpg', through"):
        read(TASK, table)


def test_a_case_of_two_images_names_both(tmp_path: Path) -> None:
    write_images(tmp_path, "ct 1.png", "mr 1.png", "ct 2.png", "mr 2.png")
    table = write_table(
        tmp_path / "m.csv", "path,label,second path", "ct 1.png,healthy,mr 1.png", "ct 2.png,1,mr 2.png"
    )
    first, second = read(PAIRS, table).records
    assert (first.path, first.second_path, first.label, first.modality) == ("ct 1.png", "mr 1.png", 0, "CT+MR")
    assert (second.path, second.second_path, second.label, second.modality) == ("ct 2.png", "mr 2.png", 1, "CT+MR")
    write_table(table, "path,label,second_path", "ct 1.png,healthy,mr 1.png", "ct 2.png,1,mr 1.png")
    with pytest.raises(DataError, match=r"line 3: 'mr 1.png' is listed already \(line 2\)"):
        read(PAIRS, table)
    write_table(table, "path,label,second_path", "ct 1.png,healthy,")
    with pytest.raises(DataError, match="line 2: no second_path; a case of tumor_ct_mri has two images"):
        read(PAIRS, table)
    write_table(table, "path,label,second_path", "ct 1.png,glioma,mr 1.png")
    with pytest.raises(DataError, match="line 2: a second_path, but a case of tumor_4class has one image"):
        read(TASK, table)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["c.tif,glioam"], "line 2: label 'glioam' is no class; did you mean 'glioma'"),
        (["c.tif,4"], "line 2: label 4 is no class index of tumor_4class; known: 0 glioma, 1 meningioma, 2 notumor"),
        (["c.tif,1.5"], "line 2: label '1.5' is no class"),
        (["c.tif,-1"], "line 2: label '-1' is no class"),
        (["c.tif,"], "line 2: label '' is no class"),
        (["c.tif"], "line 2: label '' is no class"),
        ([",glioma"], "line 2: no path; every row names an image"),
        (
            ["/etc/passwd,glioma"],
            "line 2: path '/etc/passwd' is absolute; give paths relative to the manifest's folder",
        ),
        (["C:\\scans\\a.png,glioma"], "is absolute"),
        (["../a.png,glioma"], "line 2: path '../a.png' leaves the manifest's folder"),
        (["scans/../../a.png,glioma"], "leaves the manifest's folder"),
        ([*ROWS, "./scans//b.jpg,0"], r"line 6: 'scans/b.jpg' is listed already \(line 3\)"),
        (["gone1.png,0", "gone2.png,1", "c.tif,2"], r"2 of 3 files do not exist in .*: 'gone1\.png', 'gone2\.png'$"),
        (["scans\\b.jpg,0"], "do not exist .*; use forward slashes"),
        (["scans,0"], "1 of 1 files do not exist"),
        (['"a\tb.png",0'], "characters that are no text"),
        (["a,b.png,0"], "line 2: 3 cells, the header has 2; quote cells with commas"),
        (ROWS[:3], "no rows of class 'pituitary'"),
        ([], "holds no rows"),
    ],
)
def test_a_row_that_does_not_fit_is_named(table: Path, rows: list[str], words: str) -> None:
    write_table(table, "path,label", *rows)
    with pytest.raises(DataError, match=words) as caught:
        read(TASK, table)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("header", "cells", "words"),
    [
        ("file,class", ",", r"expected columns path, label, separated by commas, got file, class"),
        ("path;label", "", r"expected columns path, label, separated by commas, got path;label"),
        ("path,label,patientid", ",p", "no column 'patientid' is known; did you mean 'patient_id'"),
        ("path,label,path", ",p", "column 'path' stands twice"),
        ("path,label,split", ",holdout", "line 2: split 'holdout' is no side; expected one of train, training"),
    ],
)
def test_columns_that_do_not_fit_are_named(table: Path, header: str, cells: str, words: str) -> None:
    write_table(table, header, *(row + cells for row in ROWS))
    with pytest.raises(DataError, match=words):
        read(TASK, table)


def test_columns_are_filled_for_all_or_none(table: Path) -> None:
    for column in ("split", "patient_id"):
        write_table(table, f"path,label,{column}", *(f"{row},{'train' if k else ''}" for k, row in enumerate(ROWS)))
        with pytest.raises(DataError, match=f"line 2: {column} is empty in 1 rows; fill it for every row or none"):
            read(TASK, table)
        write_table(table, f"path,label,{column}", *(f"{row}," for row in ROWS))
        assert len(read(TASK, table).records) == 4
    write_table(
        table, "path,label,split,patient_id", *(f"{row},{'train,p1' if k else 'test,'}" for k, row in enumerate(ROWS))
    )
    patients = {record.path: record.patient_id for record in read(TASK, table).records}
    assert patients == dict.fromkeys(NAMES, "p1") | {NAMES[0]: None}, "images of the test side need no patient"


@pytest.mark.parametrize("empty", ["nan", "None", "n/a", "-"])
def test_nan_is_no_patient(table: Path, empty: str) -> None:
    write_table(table, "path,label,patient_id", *(f"{row},{empty}" for row in ROWS))
    assert {record.patient_id for record in read(TASK, table).records} == {None}
    write_table(table, "path,label,patient_id", *(f"{row},{f'p{k}' if k else empty}" for k, row in enumerate(ROWS)))
    with pytest.raises(DataError, match="line 2: patient_id is empty in 1 rows"):
        read(TASK, table)


def test_patients_beside_a_manifest_count(table: Path) -> None:
    patients = table.with_name("patients.csv")
    write_table(patients, "path,patient_id", *(f"{name},p{k // 2}" for k, name in enumerate(NAMES)))
    found = {record.path: record.patient_id for record in read(TASK, table).records}
    assert found == {name: f"p{k // 2}" for k, name in enumerate(NAMES)}
    write_table(table, "path,label,patient_id", *(f"{row},own" for row in ROWS))
    with pytest.raises(DataError, match=r"patients\.csv: gives .* another patient than "):
        read(TASK, table)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("path,label\nx.jpg,Müller\n".encode("latin-1"), "cannot be read as CSV in UTF-8"),
        ("path,label\n".encode("utf-16"), "cannot be read as CSV in UTF-8"),
        (b"", "expected columns path, label, separated by commas, got none"),
        (b"\xef\xbb\xbfpath,label\r\nc.tif,9\r\n", "label 9"),
        (b"path,label\n" + b"x" * 200_000 + b",0\n", "cannot be read as CSV"),
    ],
)
def test_what_is_no_table_is_one_line(table: Path, content: bytes, words: str) -> None:
    table.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read(TASK, table)
    assert len(str(caught.value).splitlines()) == 1


def test_the_kind_of_file_decides_who_reads_it(table: Path, tmp_path: Path) -> None:
    assert len(read_data_set(TASK, table).records) == 4
    rows = tmp_path / "rows.parquet"
    write_rows(rows, [0, 1, 2, 3], names=None)
    assert [record.path for record in read_data_set(TASKS["alzheimer"], rows).records] == [
        f"rows.parquet#{k}" for k in range(4)
    ]
    with pytest.raises(DataError, match="one image per row, task tumor_ct_mri has two per case"):
        read_data_set(PAIRS, rows)
    rows.write_bytes(LFS_POINTER)
    with pytest.raises(DataError, match="a git-LFS pointer"):
        read_data_set(TASKS["alzheimer"], rows)
    with pytest.raises(DataError, match=r"c\.tif: is a file; expected a folder, a manifest"):
        read_data_set(TASK, tmp_path / "c.tif")
    with pytest.raises(DataError, match=r"gone\.csv: no such"):
        read_data_set(TASK, tmp_path / "gone.csv")


def test_a_link_that_leads_to_itself_is_a_missing_file(table: Path) -> None:
    (table.parent / "loop").symlink_to("loop")
    write_table(table, "path,label", *ROWS, "loop/x.png,0")
    with pytest.raises(DataError, match=r"1 of \d+ files do not exist in .*: 'loop/x\.png'"):
        read(TASK, table)
