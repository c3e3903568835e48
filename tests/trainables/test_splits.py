from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.data.splits import Fractions, fold_of_each, require_whole_groups, split_by_group
from trainables.errors import DataError

SIXTY = Fractions(validation=0.2, test=0.2)


def patients(count: int, classes: int, seed: int = 0) -> tuple[list[int], list[str]]:
    """One to six images of each patient, whose class is the patient's number modulo `classes`."""
    images = np.random.default_rng(seed).integers(1, 7, count)
    groups = [f"p{number}" for number in range(count) for _ in range(images[number])]
    return [int(group[1:]) % classes for group in groups], groups


@pytest.mark.parametrize(("count", "classes"), [(12, 2), (40, 2), (40, 4), (200, 4)])
@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_every_side_has_every_class(count: int, classes: int, seed: int) -> None:
    labels, groups = patients(count, classes, seed)
    sides = split_by_group(labels, groups, SIXTY, test_seed=seed, seed=seed)
    side_of: dict[str, set[str]] = {}
    for group, side in zip(groups, sides, strict=True):
        side_of.setdefault(group, set()).add(side)
    assert all(len(own) == 1 for own in side_of.values())
    for side in ("training", "validation", "test"):
        assert {label for label, own in zip(labels, sides, strict=True) if own == side} == set(range(classes))


def test_shares_are_about_those_asked_for_and_the_seed_decides() -> None:
    labels, groups = patients(300, 2)
    sides = split_by_group(labels, groups, Fractions(validation=0.15, test=0.15), test_seed=1, seed=1)
    shares = {side: count / len(sides) for side, count in Counter(sides).items()}
    assert shares == pytest.approx({"training": 0.7, "validation": 0.15, "test": 0.15}, abs=0.03)
    assert split_by_group(labels, groups, Fractions(validation=0.15, test=0.15), test_seed=1, seed=1) == sides
    assert split_by_group(labels, groups, Fractions(validation=0.15, test=0.15), test_seed=2, seed=2) != sides


def shares_of_classes(labels: list[int], sides: list[str]) -> dict[int, dict[str, float]]:
    return {
        label: {side: count / labels.count(label) for side, count in Counter(own).items()}
        for label in set(labels)
        for own in [[side for side, one in zip(sides, labels, strict=True) if one == label]]
    }


@pytest.mark.parametrize(("validation", "test"), [(0.2, 0.2), (0.15, 0.15), (0.15, 0.0)])
@pytest.mark.parametrize("rare", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("uneven", [False, True])
def test_a_rare_class_leaves_the_shares_of_the_others_alone(
    rare: int, validation: float, test: float, uneven: bool
) -> None:
    """Of 100, 100 and a few groups the two common classes have the shares asked for, the rare one what it can."""
    rng = np.random.default_rng(rare)
    groups = [f"{label}-{group}" for label, count in enumerate((100, 100, rare)) for group in range(count)]
    groups = [group for group in groups for _ in range(int(rng.integers(1, 12)) if uneven else 6)]
    labels = [int(group[0]) for group in groups]
    for seed in range(5):
        fractions = Fractions(validation=validation, test=test)
        sides = split_by_group(labels, groups, fractions, test_seed=seed, seed=seed)
        require_whole_groups(groups, sides)
        shares = shares_of_classes(labels, sides)
        asked = {"training": 1 - validation - test, "validation": validation, "test": test}
        for label in (0, 1):
            assert shares[label] == pytest.approx({side: one for side, one in asked.items() if one}, abs=0.02)
        held = [side for side in ("test", "validation") if asked[side]]
        assert set(shares[2]) == {"training", *held[: rare - 1]}
        if rare > 4 and not uneven:  # nearer than a whole group is impossible
            assert all(abs(shares[2].get(side, 0) - asked[side]) <= 1 / rare for side in asked)


def test_which_groups_are_held_is_a_matter_of_the_seed_alone() -> None:
    labels, groups = patients(40, 2)
    held: Counter[str] = Counter()
    for seed in range(200):
        sides = split_by_group(labels, groups, SIXTY, test_seed=seed, seed=seed)
        held.update({group for group, side in zip(groups, sides, strict=True) if side == "test"})
    assert len(held) == 40
    assert max(held.values()) < 100, "about 40 each, small groups a little more often"


def test_a_group_of_two_classes_stays_whole_and_no_class_is_lost() -> None:
    labels, groups = patients(40, 2)
    labels += [0, 1, 1, 2, 0, 2]
    groups += ["mixed-1"] * 3 + ["mixed-2"] * 2 + ["other"]
    for seed in range(20):
        sides = split_by_group(labels, groups, SIXTY, test_seed=seed, seed=seed)
        require_whole_groups(groups, sides)
        assert "training" in shares_of_classes(labels, sides)[2]


def test_a_class_of_two_patients_is_in_training_and_test() -> None:
    labels, groups = patients(60, 2)
    labels += [2] * 8
    groups += ["rare-1"] * 5 + ["rare-2"] * 3
    for seed in range(8):
        sides = split_by_group(labels, groups, SIXTY, test_seed=seed, seed=seed)
        assert {side for label, side in zip(labels, sides, strict=True) if label == 2} == {"training", "test"}


def test_a_class_of_one_patient_stays_in_training() -> None:
    labels, groups = patients(60, 2)
    sides = split_by_group([*labels, 2, 2], [*groups, "only", "only"], SIXTY, test_seed=0, seed=0)
    assert sides[-2:] == ["training", "training"]


def test_too_few_patients_are_told() -> None:
    with pytest.raises(DataError, match="validation would have images of fewer than two classes"):
        split_by_group([0, 0, 1, 1], ["a", "a", "b", "c"], Fractions(validation=0.15, test=0), test_seed=0, seed=0)


def test_a_group_on_two_sides_is_refused_with_its_name() -> None:
    with pytest.raises(DataError, match=r"1 groups stand on two sides of the split: b \(test and training\)"):
        require_whole_groups(["a", "b", "b", "c"], ["training", "training", "test", "validation"])


@pytest.mark.parametrize("folds", [2, 5])
def test_every_image_validates_once_with_its_whole_group(folds: int) -> None:
    labels, groups = patients(60, 3)
    fold_N = fold_of_each(labels, groups, folds, 0)
    assert set(fold_N) == set(range(folds))
    assert all(len({fold for fold, own in zip(fold_N, groups, strict=True) if own == group}) == 1 for group in groups)


def test_more_folds_than_patients_are_refused() -> None:
    labels, groups = patients(6, 2)
    with pytest.raises(
        DataError, match=r"--folds 7: no class has more than 3 groups \(patients\) to deal out; ask for"
    ):
        fold_of_each(labels, groups, 7, 0)


def test_folds_that_only_the_single_group_of_a_class_would_fill_are_refused() -> None:
    """Group g1 is the only one of class 1, so it validates in no fold, and class 0 has one group less to deal out."""
    with pytest.raises(DataError, match=r"--folds 3: no class has more than 2 groups .* ask for fewer folds"):
        fold_of_each([0, 1, 0, 0], ["g1", "g1", "g2", "g3"], 3, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2), st.integers(2, 6), st.integers(0, 99))
def test_folds_are_whole_or_refused_whatever_the_labels(rows: list[tuple[int, int]], folds: int, seed: int) -> None:
    try:
        fold_N = fold_of_each([label for label, _ in rows], [f"g{group}" for _, group in rows], folds, seed)
    except DataError:
        return
    require_whole_groups([str(group) for _, group in rows], [str(fold) for fold in fold_N])


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 60), st.integers(2, 4), st.integers(0, 10_000))
def test_a_split_is_whole_or_refused(count: int, classes: int, seed: int) -> None:
    labels, groups = patients(count, classes, seed)
    try:
        sides = split_by_group(labels, groups, SIXTY, test_seed=seed, seed=seed)
    except DataError:
        return
    require_whole_groups(groups, sides)
    assert {label for label, side in zip(labels, sides, strict=True) if side == "training"} == set(range(classes))


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("rare", [1, 2])
def test_no_fold_trains_without_a_class(folds: int, rare: int) -> None:
    labels, groups = patients(40, 2)
    labels += [2] * 8 * rare
    groups += [f"rare-{number}" for number in range(rare) for _ in range(8)]
    for seed in range(10):
        fold_N = fold_of_each(labels, groups, folds, seed)
        for fold in range(folds):
            assert {label for label, own in zip(labels, fold_N, strict=True) if own != fold} == {0, 1, 2}
        require_whole_groups(groups, [str(fold) for fold in fold_N])
        assert (fold_N == -1).sum() == (8 if rare == 1 else 0), "the only group of a class validates in no fold"
