"""Cases of a CT and an MR image: each image has its own modality in the audit, both stand in the split manifest."""

import csv
import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.audit.balance_findings import image_counts
from trainables.audit.shortcuts import find_shortcuts
from trainables.catalog import TASKS
from trainables.data.examine import _modalities, examine_data
from trainables.data.prepare import PreparedData, prepare_data
from trainables.data.read import read_data_set
from trainables.data.records import ImageRecord
from trainables.data.reporting import report_data
from trainables.data.sides import SplitRequest
from trainables.data.split_rows import digest_rows, digest_test
from trainables.data.views import View

TASK = TASKS["tumor_ct_mri"]
PAIRS_PER_CLASS = 16


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreparedData]:
    """Noise in pairs; the CT image of every tumour, but no MR image, has a white frame."""
    root, rng = tmp_path_factory.mktemp("pairs") / "set", np.random.default_rng(0)
    for tree in ("CT images", "MRI images"):
        for name in ("Healthy", "Tumor"):
            (root / "Dataset" / tree / name).mkdir(parents=True)
            for number in range(PAIRS_PER_CLASS):
                slice_HW = rng.integers(0, 200, (40, 40), dtype=np.uint8)
                if (tree, name) == ("CT images", "Tumor"):
                    slice_HW[[0, -1]] = slice_HW[:, [0, -1]] = 255
                Image.fromarray(slice_HW).save(root / "Dataset" / tree / name / f"{name} ({number}).png")
    request = SplitRequest(kind=None, folds=1, seed=0)
    return root, prepare_data(TASK, root, [View(16)], request, root.parent / "cache", lambda *heard: None)


def test_each_image_is_audited_as_of_its_own_modality(prepared: tuple[Path, PreparedData]) -> None:
    images = prepared[1].examined.images
    assert {(image.path.split()[0], image.modality) for image in images.images} == {
        ("Dataset/CT", "CT"),
        ("Dataset/MRI", "MR"),
    }
    assert image_counts(images) == Counter({("-", one, k): PAIRS_PER_CLASS for one in ("CT", "MR") for k in (0, 1)})
    borders = {one.modality: one for one in find_shortcuts(images, None) if one.feature == "border"}
    assert borders["CT"].is_shortcut
    assert borders["CT"].score > 0.95
    assert not borders["MR"].is_shortcut


def test_the_split_manifest_names_both_images_with_their_digests(prepared: tuple[Path, PreparedData]) -> None:
    root, data = prepared
    assert len(data.rows) == 2 * PAIRS_PER_CLASS
    for row in data.rows:
        assert row.second_path == row.path.replace("CT images", "MRI images")
        for path, sha256 in ((row.path, row.sha256), (row.second_path, row.second_sha256)):
            assert hashlib.sha256((root / path).read_bytes()).hexdigest() == sha256
    exchanged = [replace(data.rows[0], second_path=data.rows[1].second_path), *data.rows[1:]]
    assert digest_rows(exchanged) != data.split_digest == digest_rows(data.rows)
    of_case = {case.record.path: case.sha256 for case in data.examined.cases}
    assert data.test_digest == digest_test(of_case[row.path] for row in data.test.rows)


def test_the_page_warns_of_pairs_by_number_and_pairs_csv_lists_them(
    prepared: tuple[Path, PreparedData], tmp_path: Path
) -> None:
    root, data = prepared
    report, page = report_data(tmp_path, TASK, data.examined, data.as_split)
    (warning,) = (finding for finding in report.findings if finding.kind == "paired_by_number")
    assert (warning.severity, warning.count) == ("warning", 2 * PAIRS_PER_CLASS)
    assert warning.title in page.read_text()
    for example in warning.examples:
        if example.images:
            ct, mr = (report.paths[image] for image in example.images)
            assert mr == ct.replace("CT images", "MRI images")
    with (tmp_path / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [(pair["ct"], pair["mri"], pair["side"]) for pair in pairs] == [
        (row.path, row.second_path, row.side) for row in data.rows
    ]
    for pair, row in zip(pairs, data.rows, strict=True):
        assert (pair["class"], pair["group"], pair["paired_by"]) == (TASK.classes[row.label], row.group, "number")
        for column in ("ct", "mri"):
            assert pair[f"{column}_sha256"] == hashlib.sha256((root / pair[column]).read_bytes()).hexdigest()


def test_no_warning_and_no_patients_name_where_the_set_says_what_belongs_together(
    prepared: tuple[Path, PreparedData], tmp_path: Path
) -> None:
    copy = shutil.copytree(prepared[0], tmp_path / "set")
    lines = [f"{row.path},{row.second_path},Doe{n}" for n, row in enumerate(prepared[1].rows)]
    (copy / "pairs.csv").write_text("\n".join(["ct,mri,patient_id", *lines]))
    (tmp_path / "staging").mkdir()
    examined = examine_data(TASK, copy, [], tmp_path / "cache", tmp_path / "staging", lambda *heard: None)
    report, _ = report_data(tmp_path / "page", TASK, examined, examined.images)
    assert "paired_by_number" not in {finding.kind for finding in report.findings}
    written = (tmp_path / "page" / "pairs.csv").read_text()
    assert "Doe" not in written and written.count(",,patient-") == written.count(",table,") == len(lines)
    (copy / "pairs.csv").write_text(written)
    assert [record.second_path for record in read_data_set(TASK, copy).records] == [
        row.second_path for row in prepared[1].rows
    ]


@pytest.mark.parametrize(
    ("told", "second", "expected"),
    [
        ("CT+MR", "b.png", ["CT", "MR"]),
        ("T1+T2", "b.png", ["T1", "T2"]),
        ("a manifest's own word", "b.png", ["CT", "MR"]),
        ("CT+MR", None, ["CT+MR"]),
    ],
)
def test_a_modality_for_each_image(told: str, second: str | None, expected: list[str]) -> None:
    assert _modalities(TASK, ImageRecord(path="a.png", label=0, modality=told, second_path=second)) == expected


def test_a_copy_of_either_image_keeps_both_cases_on_one_side(tmp_path: Path) -> None:
    root, rng = tmp_path / "set", np.random.default_rng(1)
    for tree in ("CT images", "MRI images"):
        for name in ("Healthy", "Tumor"):
            (root / tree / name).mkdir(parents=True)
            for number in range(12):
                Image.fromarray(rng.integers(0, 200, (40, 40), dtype=np.uint8)).save(
                    root / tree / name / f"{number}.png"
                )
    for tree, one, other in (("CT images", 1, 4), ("MRI images", 4, 9)):  # 1 and 9 hang together by way of 4 alone
        (root / tree / "Tumor" / f"{other}.png").write_bytes((root / tree / "Tumor" / f"{one}.png").read_bytes())
    for seed in range(4):
        request = SplitRequest(kind=None, folds=1, seed=seed)
        data = prepare_data(TASK, root, [View(16)], request, tmp_path / "cache", lambda *heard: None)
        linked = [row for row in data.rows if row.path in {f"CT images/Tumor/{n}.png" for n in (1, 4, 9)}]
        assert len(linked) == 3
        assert len({row.group for row in linked}) == len({row.side for row in linked}) == 1
