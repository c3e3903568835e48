import shutil
from pathlib import Path

import pytest
from set_support import MISLEADING, write_images, write_table

from trainables.catalog import TASKS
from trainables.data.images import decode_grey
from trainables.data.layouts.paired_trees import read
from trainables.data.layouts.pairing import file_number, natural_key
from trainables.data.pairing_facts import ClassPairing
from trainables.errors import DataError

TASK = TASKS["tumor_ct_mri"]
CT, MRI = "Dataset/Brain Tumor CT scan Images", "Dataset/Brain Tumor MRI images"
CT_NAMES = [f"{CT}/Healthy/ct_healthy ({n}).jpg" for n in (1, 2, 10, 20)] + [f"{CT}/Tumor/ct_tumor (3).jpg"]
MRI_NAMES = [f"{MRI}/Healthy/mri_healthy ({n}).jpg" for n in (2, 10, 11)] + [
    f"{MRI}/Tumor/{kind} (3).jpg" for kind in ("pituitary", "glioma", "meningioma")
]
BY_NUMBER = [
    (f"{CT}/Healthy/ct_healthy (10).jpg", f"{MRI}/Healthy/mri_healthy (10).jpg", 0),
    (f"{CT}/Healthy/ct_healthy (2).jpg", f"{MRI}/Healthy/mri_healthy (2).jpg", 0),
    (f"{CT}/Tumor/ct_tumor (3).jpg", f"{MRI}/Tumor/glioma (3).jpg", 1),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / "set", *CT_NAMES, *MRI_NAMES)
    return tmp_path / "set"


def pairs(root: Path) -> list[tuple[str, str | None, int]]:
    return [(record.path, record.second_path, record.label) for record in read(TASK, root).records]


def test_pairs_are_equal_numbers_within_a_class_not_equal_places(root: Path) -> None:
    data = read(TASK, root)
    assert pairs(root) == BY_NUMBER
    for record in data.records:
        assert (record.shipped, record.modality, record.patient_id) == (None, "CT+MR", None)
        for path in (record.path, record.second_path):
            assert decode_grey(data.read(str(path))).shape == (8, 8)


def test_the_notes_say_that_pairs_are_a_choice_and_what_is_left_out(root: Path) -> None:
    data = read(TASK, root)
    rule, left_out = data.notes
    assert "by number only, within a class: nothing ties CT n and MRI n to one person" in rule
    assert rule.endswith(
        "; numbers with several candidates: 0 on the CT and 1 on the MR side (healthy: 0 CT, 0 MR; tumor: 0 CT, 1 MR);"
        " the first name in natural order is taken"
    )
    assert left_out == (
        "2 CT and 3 MR images have no partner and are left out (healthy: 2 CT, 1 MR; tumor: 0 CT, 2 MR)"
    )
    assert data.pairing is not None
    assert (data.pairing.paired_by, data.pairing.pairs) == ("number", 3)
    assert data.pairing.classes == [
        ClassPairing(name="healthy", pairs=2, alone=(2, 1)),
        ClassPairing(name="tumor", pairs=1, alone=(0, 2), ambiguous=(0, 1)),
    ]


def test_two_ct_images_of_one_number_share_no_partner(root: Path) -> None:
    alone = [f"{CT}/Healthy/ct_healthy ({n}).jpg" for n in (1, "1 again 1")]  # no MR image has their number
    write_images(root, f"{CT}/Healthy/ct_healthy (2).png", f"{CT}/Healthy/overview.jpg", *alone)
    assert pairs(root) == BY_NUMBER, "neither stands in two pairs; .jpg comes before .png"
    assert "1 on the CT and 1 on the MR side (healthy: 1 CT, 0 MR" in read(TASK, root).notes[0]
    assert read(TASK, root).notes[1].startswith("5 CT and 3 MR images")


def test_numbers_are_the_last_of_a_name_and_sort_as_numbers() -> None:
    assert [file_number(f"7/x1/{name}") for name in ("ct_healthy (12).jpg", "ct2_007.png", "none.jpg")] == [12, 7, None]
    assert sorted(["a (10)", "a (2)", "b (1)", "a"], key=natural_key) == ["a", "a (2)", "a (10)", "b (1)"]


def test_patients_decide_where_every_image_has_one(root: Path) -> None:
    patient = {path: f"p{n}" for n, path in enumerate([*CT_NAMES, *MRI_NAMES])}
    patient[CT_NAMES[0]] = patient[CT_NAMES[1]] = patient[MRI_NAMES[0]] = patient[MRI_NAMES[2]] = "both"
    patient[CT_NAMES[4]] = patient[MRI_NAMES[3]] = "tumor"
    write_table(root / "patients.csv", "path,patient_id", *(f"{path},{who}" for path, who in patient.items()))
    data = read(TASK, root)
    assert [(record.path, record.second_path, record.patient_id) for record in data.records] == [
        (CT_NAMES[0], MRI_NAMES[2], "both"),  # left over after equal numbers
        (CT_NAMES[1], MRI_NAMES[0], "both"),  # number 2
        (CT_NAMES[4], MRI_NAMES[3], "tumor"),  # pituitary, though glioma comes first by name
    ]
    assert data.notes[0].startswith(
        "CT and MR images are paired by patient, as patients.csv gives them; of one patient"
    )
    assert data.notes[1].endswith("(healthy: 2 CT, 1 MR; tumor: 0 CT, 2 MR)")
    write_table(root / "patients.csv", "path,patient_id", *(f"{path},p" for path in CT_NAMES))
    with pytest.raises(DataError, match="6 of 11 images that need a patient are not in it"):
        read(TASK, root)


def test_a_table_of_pairs_decides_over_all(root: Path) -> None:
    table, lines = root / "pairs.csv", [f"{CT_NAMES[0]},{MRI_NAMES[2]}", f"{CT_NAMES[4]},{MRI_NAMES[3]}"]
    write_table(table, "ct,mri", *lines)
    assert pairs(root) == [(CT_NAMES[0], MRI_NAMES[2], 0), (CT_NAMES[4], MRI_NAMES[3], 1)]
    assert read(TASK, root).notes[0] == "pairs are those of pairs.csv"
    write_table(table, "ct,mri,patient_id", *(f"{line},p{n}" for n, line in enumerate(lines)))
    assert [record.patient_id for record in read(TASK, root).records] == ["p0", "p1"]
    write_table(table, "ct,mri,patient_id", *(f"{line},NaN" for line in lines))
    assert [record.patient_id for record in read(TASK, root).records] == [None, None]
    write_table(table, "ct,mri", *lines)
    who = {path: "p" for path in (*CT_NAMES, *MRI_NAMES)}
    write_table(root / "patients.csv", "path,patient_id", *(f"{path},{p}" for path, p in who.items()))
    assert [record.patient_id for record in read(TASK, root).records] == ["p", "p"]
    who[MRI_NAMES[2]] = "other"
    write_table(root / "patients.csv", "path,patient_id", *(f"{path},{p}" for path, p in who.items()))
    with pytest.raises(DataError, match=r"pairs\.csv: line 2: patients\.csv gives its two images to two patients"):
        read(TASK, root)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a,b", "x,y"], "expected columns ct, mri, got a, b"),
        (["ct,mri"], "names no pair"),
        (["ct,mri", f"gone.jpg,{MRI_NAMES[0]}"], "line 2: ct 'gone.jpg' is no image below"),
        (["ct,mri", f"{MRI_NAMES[0]},{CT_NAMES[0]}"], "lies in the other tree"),
        (["ct,mri", f"{CT_NAMES[0]},{MRI_NAMES[4]}"], "are of two classes"),
        (["ct,mri", *[f"{CT_NAMES[0]},{MRI_NAMES[n]}" for n in (0, 1)]], r"line 3: .*\(1\).jpg' stands in two pairs"),
        (
            ["ct,mri,patient_id", f"{CT_NAMES[0]},{MRI_NAMES[0]},p1", f"{CT_NAMES[1]},{MRI_NAMES[1]},"],
            "line 3: no patient_id while other rows have one",
        ),
    ],
)
def test_a_table_of_pairs_that_does_not_fit_is_refused(root: Path, lines: list[str], words: str) -> None:
    write_table(root / "pairs.csv", *lines)
    with pytest.raises(DataError, match=words):
        read(TASK, root)


@pytest.mark.parametrize("given", ["set", "set/Dataset"])
def test_a_table_of_pairs_beside_the_trees_is_not_passed_over(root: Path, given: str) -> None:
    write_table(root / "Dataset/pairs.csv", "ct,mri", f"{CT_NAMES[0]},{MRI_NAMES[2]}")
    with pytest.raises(DataError, match=r"Dataset/pairs\.csv: is not read there; move it to .*set/pairs\.csv"):
        read(TASK, root.parent / given)


@pytest.mark.parametrize("given", ["set", "set/Dataset", "."])
def test_the_root_is_found_one_level_up_or_down(root: Path, given: str) -> None:
    data = read(TASK, root.parent / given)
    assert data.root == root
    assert len(data.records) == 3


def test_trees_may_lie_in_the_root_and_anywhere(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / MISLEADING / "CT MRI Healthy"
    shutil.copytree(root / "Dataset", moved)
    expected = [
        (first.removeprefix("Dataset/"), str(second).removeprefix("Dataset/"), n) for first, second, n in BY_NUMBER
    ]
    assert pairs(moved) == expected
    (moved / "Brain Tumor MRI images").rename(moved / "mr_slices")
    (moved / "Brain Tumor CT scan Images").rename(moved / "CT")
    assert len(pairs(moved / "CT")) == 3, "one tree may be named"


def test_hidden_files_and_masks_are_passed_over(root: Path) -> None:
    write_images(root, f"{CT}/Tumor/.ipynb_checkpoints/ct_tumor (4).jpg", f"masks/{CT}/Tumor/ct_tumor (3).png")
    (root / CT / ".DS_Store").write_bytes(b"x")
    assert pairs(root) == BY_NUMBER
    assert read(TASK, root).notes[1].startswith("2 CT")
    (root / CT / "Healthy/1.mha").write_bytes(b"x")
    assert read(TASK, root).notes[2] == f"1 files with other suffixes are passed over (e.g. '{CT}/Healthy/1.mha')"


def test_other_layouts_are_refused(root: Path, tmp_path: Path) -> None:
    write_images(root, f"{MRI}/Tumour type/a (3).jpg")
    with pytest.raises(
        DataError, match=r"folder 'Tumour type' names no class; .*classes of tumor_ct_mri: healthy, tumor"
    ):
        read(TASK, root)
    shutil.rmtree(root / MRI / "Tumour type")
    shutil.rmtree(root / CT / "Tumor")
    with pytest.raises(DataError, match="of class 'tumor': 0 CT and 3 MR images; every class needs both"):
        read(TASK, root)
    shutil.copytree(root / CT, root / "Dataset/CT again")
    with pytest.raises(DataError, match=r"2 CT folders \(Brain Tumor CT scan Images, CT again\); keep one"):
        read(TASK, root)
    shutil.rmtree(root / MRI)
    words = r"Dataset: only CT images \('Brain.*', 'CT again'\), no folder named with the word MRI; a case is one"
    for given in (root, root / "Dataset", root / "Dataset/CT again"):
        with pytest.raises(DataError, match=words):
            read(TASK, given)
    for name in ("CT of A", "CT of B"):
        write_images(root.parent / "two" / name, "CT/Tumor/1.png", "MRI/Tumor/1.png")
    with pytest.raises(DataError, match=r"2 data sets below \(CT of A, CT of B\); name one"):
        read(TASK, root.parent / "two")
    shutil.rmtree(root / "Dataset")
    with pytest.raises(DataError, match="is empty; expected two folders"):
        read(TASK, root)


def test_a_class_without_pairs_says_what_there_is(root: Path) -> None:
    (root / CT_NAMES[4]).rename((root / CT_NAMES[4]).with_name("without.jpg"))
    with pytest.raises(DataError, match=r"1 CT and 3 MR images, none of the same number; pairs\.csv in .* says which"):
        read(TASK, root)
    write_table(root / "pairs.csv", "ct,mri", f"{CT_NAMES[0]},{MRI_NAMES[0]}")
    with pytest.raises(DataError, match=r"1 CT and 3 MR images, none of them in pairs\.csv"):
        read(TASK, root)
