from dataclasses import replace

import numpy as np
import pytest
from copies_support import SourceImage, audit_input, index_pairs, parquet_images, phantom_images
from tests_support import REAL_DATA

from trainables.audit.near_duplicates import DuplicatePair, find_near_duplicates
from trainables.audit.subjects import group_subjects
from trainables.audit.tails import threshold_beyond
from trainables.data.phantom import PHANTOMS


def phantom(tmp_path_factory: pytest.TempPathFactory, task: str, patients: int) -> list[SourceImage]:
    folder = tmp_path_factory.mktemp(task)
    PHANTOMS[task](folder, patients, 0)
    return phantom_images(folder)


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[SourceImage]:
    return phantom(tmp_path_factory, "alzheimer", 60)


def test_near_identical_slices_group_by_subject(slices: list[SourceImage]) -> None:
    groups = group_subjects(audit_input(slices), [])
    assert index_pairs(groups.group_N) == index_pairs([source.patient for source in slices])
    assert groups.threshold is not None
    assert "no threshold between" in groups.why


def test_different_slices_hardly_merge_patients(tmp_path_factory: pytest.TempPathFactory) -> None:
    sources = phantom(tmp_path_factory, "tumor_4class", 80)
    images = audit_input(sources)
    groups = group_subjects(images, find_near_duplicates(images, lambda *_: None))
    truth, found = index_pairs([source.patient for source in sources]), index_pairs(groups.group_N)
    assert len(truth & found) >= 0.3 * len(truth)
    assert len(truth & found) >= 0.9 * len(found)


def test_one_slice_a_subject_leaves_only_copies(slices: list[SourceImage]) -> None:
    singles = list({source.patient: source for source in slices}.values())
    copy = DuplicatePair(3, 7, "near", "mirrored", 0.99)
    groups = group_subjects(audit_input(singles), [copy])
    assert groups.threshold is None
    assert "only copies are grouped" in groups.why
    assert index_pairs(groups.group_N) == {(3, 7)}


def test_copies_with_two_labels_do_not_spoil_the_threshold(slices: list[SourceImage]) -> None:
    labels = sorted({source.label for source in slices})
    wrong = [replace(one, label=labels[labels.index(one.label) - 1], path=f"copy {one.path}") for one in slices[::24]]
    bank = slices + wrong
    pairs = [DuplicatePair(24 * k, len(slices) + k, "bytes", "byte for byte", 1.0) for k in range(len(wrong))]
    found = index_pairs(group_subjects(audit_input(bank), pairs).group_N)
    assert found == index_pairs([source.patient for source in bank])
    unknown = group_subjects(audit_input(bank), [])  # the same when nobody says that they are copies
    assert unknown.threshold is not None
    assert index_pairs(unknown.group_N[: len(slices)]) == index_pairs([source.patient for source in slices])


def test_one_class_has_no_null(slices: list[SourceImage]) -> None:
    groups = group_subjects(audit_input([replace(one, label="all") for one in slices[:40]]), [])
    assert groups.threshold is None
    assert len(set(groups.group_N.tolist())) == 40


def test_patient_ids_are_not_looked_at(slices: list[SourceImage]) -> None:
    images = audit_input(slices)
    named = replace(images, images=[replace(image, patient_id="one") for image in images.images])
    assert (group_subjects(named, []).group_N == group_subjects(images, []).group_N).all()


def test_tail_of_an_exponential() -> None:
    values_M = np.random.default_rng(0).exponential(0.05, 20_000)
    found = threshold_beyond(values_M, 2_000, false_per_value=1, allowed=2)
    assert found == pytest.approx(0.05 * np.log(10_000), rel=0.1)


def test_too_short_a_tail_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        threshold_beyond(np.zeros(5), 100, 1, 1)


def test_real_alzheimer_slices_fall_into_62_groups() -> None:
    folder = REAL_DATA / "alzheimer_parquet"
    if not folder.is_dir():
        pytest.skip(f"no real images at {REAL_DATA}; set ORCHESTRATE_REAL_DATA to a folder that holds {folder.name}/")
    sources = parquet_images(folder)
    groups = group_subjects(audit_input(sources), [])
    assert np.bincount(groups.group_N).tolist() == [32] * 62
    for group in range(62):
        own = [sources[i] for i in np.flatnonzero(groups.group_N == group)]
        assert len({one.label for one in own}) == 1
        assert len({one.path.split("-")[0] for one in own}) == 2  # each is on both sides of the shipped split
