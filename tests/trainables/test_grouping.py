import numpy as np

from trainables.audit.facts import AuditedImage, ImageFacts
from trainables.audit.near_duplicates import DuplicatePair
from trainables.data.grouping import group_cases

FACTS = ImageFacts("PNG", "L", 8, 8, 100, 1, "a", "b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0))


def image(number: int, patient: str | None = None, case: int | None = None) -> AuditedImage:
    return AuditedImage(f"{number}.png", number if case is None else case, 0, None, "MR", patient, FACTS)


def copy(first: int, second: int, kind: str = "near") -> DuplicatePair:
    return DuplicatePair(first, second, kind, "same orientation", 0.99)


def partition(names: list[str]) -> set[frozenset[int]]:
    return {frozenset(case for case, own in enumerate(names) if own == name) for name in names}


def test_patients_are_groups_and_never_in_clear() -> None:
    groups = group_cases([image(0, "Jane"), image(1, "John"), image(2, "Jane")], [], np.arange(3))
    assert groups.grouped_by == "patient"
    assert partition(groups.names) == {frozenset({0, 2}), frozenset({1})}
    assert not any("J" in name for name in groups.names)


def test_the_audits_subjects_group_what_has_no_patient() -> None:
    groups = group_cases([image(number) for number in range(4)], [], np.array([0, 0, 2, 3]))
    assert groups.grouped_by == "audit"
    assert partition(groups.names) == {frozenset({0, 1}), frozenset({2}), frozenset({3})}
    assert groups.group_N.tolist() == [0, 0, 2, 3]


def test_known_patients_are_not_joined_by_likeness_but_by_equal_bytes() -> None:
    two = [image(0, "Jane"), image(1, "John")]
    assert len(set(group_cases(two, [copy(0, 1)], np.array([0, 0])).names)) == 2
    assert len(set(group_cases(two, [copy(0, 1, "bytes")], np.arange(2)).names)) == 1
    assert len(set(group_cases(two, [copy(0, 1, "pixels")], np.arange(2)).names)) == 1


def test_an_image_without_patient_joins_the_one_that_it_looks_like() -> None:
    groups = group_cases([image(0, "Jane"), image(1), image(2)], [copy(0, 1)], np.arange(3))
    assert groups.grouped_by == "patient and audit"
    assert partition(groups.names) == {frozenset({0, 1}), frozenset({2})}


def test_cases_that_share_a_file_or_a_subject_are_one_group() -> None:
    images = [image(0, case=0), image(1, case=0), image(1, case=1), image(2, case=1), image(3, case=2)]
    groups = group_cases(images, [copy(1, 2, "bytes")], np.arange(5))
    assert partition(groups.names) == {frozenset({0, 1}), frozenset({2})}


def test_images_without_id_stay_together_though_their_subject_has_two_ids() -> None:
    images = [image(0, "Jane"), image(1, "John"), image(2), image(3)]
    groups = group_cases(images, [], np.array([0, 0, 0, 0]))
    assert partition(groups.names) == {frozenset({0}), frozenset({1}), frozenset({2, 3})}
