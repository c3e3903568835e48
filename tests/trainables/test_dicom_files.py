"""DICOM among the images of a set: found whatever it is called, grouped by patient, and no tag goes any further."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dicom_support import HEADER, PATIENT, dicom_bytes, head_hu, write_head_set
from PIL import Image

from trainables.catalog import TASKS, Task
from trainables.data.decoding import staging_folder
from trainables.data.dicom import grey_from_dicom
from trainables.data.examine import examine_data
from trainables.data.images import decode_grey
from trainables.data.layouts import dicom_files
from trainables.data.layouts.dicom_files import picture_of
from trainables.data.prepare import prepare_data
from trainables.data.read import read_data_set
from trainables.data.records import DataSet
from trainables.data.sides import SplitRequest
from trainables.data.views import View
from trainables.errors import DataError

HEADS = Task(
    name="heads",
    title="Bleeding or not",
    classes=("calm", "bleeding"),
    layout="trainables.data.layouts.class_folders:read",
)
BRAIN = HEADS.ct_window_hu
REQUEST = SplitRequest(kind=None, folds=1, seed=0)


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    return write_head_set(tmp_path / "heads", patients=6, slices=2, side_px=24)


def patients(data_set: DataSet) -> set[str | None]:
    return {record.patient_id for record in data_set.records}


def test_the_files_become_pictures_in_the_window_of_the_task(heads: Path) -> None:
    data_set = read_data_set(HEADS, heads)
    assert len(data_set.records) == 12
    for record in data_set.records:
        expected_HW = grey_from_dicom((heads / record.path).read_bytes(), BRAIN)
        assert np.array_equal(decode_grey(data_set.read(record.path)), expected_HW)
        assert expected_HW.std() > 10
    wider = read_data_set(replace(HEADS, ct_window_hu=(0.0, 2000.0)), heads)
    assert wider.read(wider.records[0].path) != data_set.read(data_set.records[0].path)


def test_their_patients_group_them_and_have_no_names(heads: Path) -> None:
    data_set = read_data_set(HEADS, heads)
    by_file = {record.path.rpartition("/")[2][:5]: record.patient_id for record in data_set.records}
    assert len(set(by_file.values())) == len(by_file) == 6
    assert not any("MRN" in str(one) or "0815" in str(one) for one in patients(data_set))
    assert {record.modality for record in data_set.records} == {"CT"}
    assert "12 DICOM files; CT shown from 0 to 80 HU; 6 patients by PatientID" in data_set.notes


def test_two_hospitals_may_number_their_patients_alike(heads: Path) -> None:
    shutil.rmtree(heads / "bleeding")
    for issuer in ("hospital a", "hospital b", ""):
        (heads / "bleeding").mkdir(exist_ok=True)
        for name in ("calm", "bleeding"):
            content = dicom_bytes(np.zeros((4, 4), np.int16), modality="CT", IssuerOfPatientID=issuer)
            (heads / name / f"from {issuer}").write_bytes(content)
        if issuer == "hospital b":
            for place in (heads / "calm").glob("IM*"):
                place.unlink()
            assert len(patients(read_data_set(HEADS, heads))) == 2
    other = dicom_bytes(np.zeros((4, 4), np.int16), modality="CT", patient="other")
    (heads / "calm" / "other").write_bytes(other)
    assert len(patients(read_data_set(HEADS, heads))) == 2, "where only some say who numbered them nobody is torn apart"


def test_a_path_that_names_its_patient_is_told(heads: Path) -> None:
    first = next((heads / "calm").iterdir())
    first.rename(first.with_name("doe_jonathan_1"))
    told = [note for note in read_data_set(HEADS, heads).notes if "in their path" in note]
    assert told == [
        "1 DICOM files have their patient's id or name in their path, and paths stand in pages and MLflow: "
        "rename files and folders before a sweep"
    ]


def test_rows_of_a_table_become_pictures_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contents = [dicom_bytes(head_hu(rng, 16, number % 2 == 0), modality="CT") for number in range(4)]
    images = [{"bytes": content, "path": f"{number}.dcm"} for number, content in enumerate(contents)]
    pq.write_table(pa.table({"image": images, "label": [1, 0, 1, 0]}), tmp_path / "train.parquet")
    data_set = read_data_set(replace(HEADS, layout="trainables.data.layouts.parquet_rows:read"), tmp_path)
    assert data_set.reopen is not None
    for read in (data_set.read, data_set.reopen()):
        assert [read(record.path) for record in data_set.records] == [picture_of(one, BRAIN) for one in contents]


@pytest.mark.parametrize(("patient", "told"), [("ANON", "one and the same PatientID"), ("", "no PatientID in them")])
def test_ids_that_tell_nothing_are_not_used(tmp_path: Path, patient: str, told: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("calm", "bleeding"):
        (tmp_path / name).mkdir()
        for number in range(3):
            content = dicom_bytes(head_hu(rng, 16, name == "bleeding"), modality="CT", patient=patient)
            (tmp_path / name / f"{number}.dcm").write_bytes(content)
    data_set = read_data_set(HEADS, tmp_path)
    assert patients(data_set) == {None}
    assert told in data_set.notes[-1]


def test_what_the_user_says_of_patients_goes_first(heads: Path) -> None:
    paths = [record.path for record in read_data_set(HEADS, heads).records]
    pattern = read_data_set(replace(HEADS, patient_id_pattern=r"IM(\d)"), heads)
    assert patients(pattern) == {"0"}
    with (heads / "patients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "patient_id"), *((path, path[:4]) for path in paths)])
    table = read_data_set(HEADS, heads)
    assert patients(table) == {"calm", "blee"}
    assert "their PatientID is not asked" in table.notes[-1]


def test_files_are_found_by_their_mark(tmp_path: Path) -> None:
    content = dicom_bytes(HU := np.full((8, 8), 40, np.int16), modality="CT")
    for name in ("IM0001", "1.2.840.113619.2", "a.dcm", "B.DICOM", "siemens.IMA", "lies.png"):
        (tmp_path / "calm").mkdir(exist_ok=True)
        (tmp_path / "calm" / name).write_bytes(content)
    (tmp_path / "calm" / "DICOMDIR").write_bytes(content)
    (tmp_path / "calm" / "README").write_text("no image")
    (tmp_path / "calm" / "notes.2").write_text("none either")
    (tmp_path / "bleeding").mkdir()
    Image.fromarray(HU.astype(np.uint8)).save(tmp_path / "bleeding" / "plain.png")
    data_set = read_data_set(HEADS, tmp_path)
    assert sorted(Path(record.path).name for record in data_set.records) == [
        "1.2.840.113619.2", "B.DICOM", "IM0001", "a.dcm", "lies.png", "plain.png", "siemens.IMA",
    ]  # fmt: skip
    assert decode_grey(data_set.read("calm/lies.png")).tolist() == [[128] * 8] * 8
    assert any("3 files with other suffixes are passed over" in note for note in data_set.notes)
    assert any("6 DICOM files" in note for note in data_set.notes)


def test_text_that_is_burnt_in_is_told(tmp_path: Path, heads: Path) -> None:
    rng = np.random.default_rng(1)
    content = dicom_bytes(head_hu(rng, 24, bleeds=False), modality="CT", patient="other", BurnedInAnnotation="YES")
    (heads / "calm" / "burnt").write_bytes(content)
    assert "1 DICOM files say that text is burnt into the picture" in read_data_set(HEADS, heads).notes[-1]


def test_one_that_cannot_be_read_is_counted_and_left_out(heads: Path, tmp_path: Path) -> None:
    for number in range(30):
        source = next((heads / "calm").iterdir())
        shutil.copyfile(source, heads / "calm" / f"more{number}")
    (heads / "calm" / "damaged").write_bytes((heads / "calm" / "more0").read_bytes()[:600])
    with staging_folder(tmp_path / "cache") as staging:
        examined = examine_data(HEADS, heads, [View(16)], tmp_path / "cache", staging, lambda *args: None)
    assert examined.unreadable == {"calm/damaged": "a DICOM file without an image"}


def test_a_pair_of_two_patients_is_refused(tmp_path: Path) -> None:
    task = TASKS["tumor_ct_mri"]
    for modality in ("CT", "MRI"):
        for name in ("Healthy", "Tumor"):
            (tmp_path / modality / name).mkdir(parents=True)
            for number in range(2):
                stranger = modality == "MRI" and name == "Tumor" and number == 1
                content = dicom_bytes(
                    np.full((8, 8), 9, np.int16),
                    modality=modality[:2],
                    patient=PATIENT.format("x" if stranger else f"{name}{number}"),
                )
                (tmp_path / modality / name / f"img ({number}).dcm").write_bytes(content)
    with pytest.raises(DataError, match="one case, but two patients by their PatientID"):
        read_data_set(task, tmp_path)


def test_without_pydicom_the_set_is_refused_at_once(heads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_files, "can_read_dicom", lambda: False)
    with pytest.raises(DataError, match=r"pip install pydicom python-gdcm"):
        read_data_set(HEADS, heads)


def test_nothing_of_a_header_is_cached(heads: Path, tmp_path: Path) -> None:
    prepare_data(HEADS, heads, [View(16)], REQUEST, tmp_path / "cache", lambda *args: None)
    written = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert written
    for path in written:
        content = path.read_bytes()
        assert not [value for value in (*HEADER.values(), "MRN-0815") if value.encode() in content], path
