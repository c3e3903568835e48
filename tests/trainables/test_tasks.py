"""Every task through the one door: phantoms in their own layout, and the real sets where they are."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from set_support import MISLEADING, counts

from trainables.catalog import ARCHITECTURES, TASKS, Task
from trainables.data.images import decode_grey
from trainables.data.phantom import PHANTOMS
from trainables.data.read import read_data_set
from trainables.errors import DataError

NUM_PATIENTS = 12
PHANTOM_COUNTS = {  # side, class -> cases
    "stroke": {("training", 0): 16, ("training", 1): 16, ("test", 0): 8, ("test", 1): 8},
    "tumor_binary": {(None, 0): 24, (None, 1): 24},
    "tumor_4class": {("training", k): 6 for k in range(4)} | {("test", k): 3 for k in range(4)},
    "alzheimer": {("training", k): 8 for k in range(4)} | {("test", k): 4 for k in range(4)},
    "tumor_ct_mri": {(None, 0): 12, (None, 1): 12},
}
REAL_FOLDERS = {
    "stroke": "stroke_multimodal",
    "tumor_binary": "brain_mri_binary",
    "tumor_4class": "brain_tumor_4class",
    "alzheimer": "alzheimer_parquet",
    "tumor_ct_mri": "ct_mri_paired",
}
REAL_COUNTS = {
    "stroke": {(side, label): 14 for side in ("training", "test") for label in (0, 1)},
    "tumor_binary": {(None, 0): 62, (None, 1): 92},
    "tumor_4class": {("training", k): n for k, n in enumerate((79, 80, 95, 87))}
    | {("test", k): n for k, n in enumerate((23, 23, 31, 23))},
    "alzheimer": {("training", k): n for k, n in enumerate((215, 19, 783, 570))}
    | {("test", k): n for k, n in enumerate((41, 13, 209, 134))},
    "tumor_ct_mri": {(None, 0): 14, (None, 1): 11},
}


@pytest.fixture(scope="module", params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


@pytest.fixture(scope="module")
def phantom(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(task.name) / "set"
    folder.mkdir()
    PHANTOMS[task.name](folder, NUM_PATIENTS, 0)
    return folder


def test_records_of_tasks_fit_each_other(task: Task) -> None:
    assert TASKS[task.name] is task
    assert task.name in PHANTOMS
    assert set(task.aliases.values()) <= set(task.classes)
    assert sum(task.split_fractions) == pytest.approx(1)
    assert set(task.severity) in (set(), set(task.classes))
    assert hash(task) == hash(TASKS[task.name])
    fitting = [record for record in ARCHITECTURES.values() if record.image_names == task.image_names]
    assert len(fitting) >= 4


def test_the_stated_fractions_and_classes() -> None:
    assert TASKS["tumor_binary"].split_fractions == (0.6, 0.2, 0.2)
    assert TASKS["tumor_ct_mri"].split_fractions == (0.7, 0.15, 0.15)
    assert TASKS["tumor_ct_mri"].images_per_case == 2
    assert TASKS["alzheimer"].classes == ("mild", "moderate", "non", "very_mild")


def test_a_phantom_is_read_whole_with_its_patients(task: Task, phantom: Path) -> None:
    data = read_data_set(task, phantom)
    assert counts(data) == PHANTOM_COUNTS[task.name]
    patients = {record.patient_id for record in data.records}
    assert None not in patients
    assert len(patients) == NUM_PATIENTS
    for record in data.records:
        assert (record.second_path is not None) == (task.images_per_case == 2)
        for path in filter(None, (record.path, record.second_path)):
            assert "masks" not in path
            assert decode_grey(data.read(path)).size > 1000
    assert not [note for note in data.notes if "name no image" in note]


def test_cases_of_a_phantom_stand_in_order_and_once(task: Task, phantom: Path) -> None:
    records = read_data_set(task, phantom).records
    keys = [(path, int(row or 0)) for path, _, row in (record.path.partition("#") for record in records)]
    assert keys == sorted(keys)
    paths = [path for record in records for path in (record.path, record.second_path) if path]
    assert len(set(paths)) == len(paths)


def test_no_class_side_or_modality_comes_from_the_whole_path(task: Task, phantom: Path, tmp_path: Path) -> None:
    moved = tmp_path / MISLEADING / "Healthy CT no train" / "set"
    shutil.copytree(phantom, moved)
    expected = read_data_set(task, phantom)
    assert read_data_set(task, moved).records == expected.records
    assert read_data_set(task, moved.parent).records == expected.records, "one level above"
    (tmp_path / "link").symlink_to(moved)
    assert read_data_set(task, tmp_path / "link").records == expected.records


def test_a_phantoms_masks_are_no_set(task: Task, phantom: Path) -> None:
    with pytest.raises(DataError, match="masks"):
        read_data_set(task, phantom / "masks")


def test_the_working_folder_may_be_the_set(task: Task, phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_data_set(task, phantom)
    monkeypatch.chdir(phantom)
    data = read_data_set(task, Path())
    assert data.records == expected.records
    assert data.read(data.records[0].path) == expected.read(data.records[0].path)


def test_the_real_set_has_its_counts(task: Task, real_data: Path) -> None:
    data = read_data_set(task, real_data / REAL_FOLDERS[task.name])
    assert counts(data) == REAL_COUNTS[task.name]
    assert {record.patient_id for record in data.records} == {None}
    for record in data.records:
        for path in filter(None, (record.path, record.second_path)):
            assert decode_grey(data.read(path)).ndim == 2


def test_the_real_pairs_are_counted(real_data: Path) -> None:
    data = read_data_set(TASKS["tumor_ct_mri"], real_data / "ct_mri_paired")
    assert "0 on the CT and 11 on the MR side (healthy: 0 CT, 0 MR; tumor: 0 CT, 11 MR)" in data.notes[0]
    assert data.notes[1].startswith("17 CT and 43 MR images have no partner and are left out (healthy: 17 CT, 3 MR; ")


def test_the_real_strokes_have_both_modalities_everywhere(real_data: Path) -> None:
    records = read_data_set(TASKS["stroke"], real_data / "stroke_multimodal").records
    folders = Counter((record.shipped, record.label, record.modality) for record in records)
    assert len(folders) == 8
    assert set(folders.values()) == {7}
