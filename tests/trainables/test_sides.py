"""The final sides of sets that ship some of them: what is drawn here shares no group with any other side."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trainables.catalog import TASKS
from trainables.data import sides as sides_module
from trainables.data.records import Side
from trainables.data.sides import DecidedSides, SplitRequest, decide_sides
from trainables.errors import DataError

Row = tuple[int, Side | None, str]  # label, shipped side, group


def examined(rows: list[Row]) -> Any:
    """Return as much of an examined set as sides are decided by."""
    cases = [
        SimpleNamespace(record=SimpleNamespace(path=f"{number}.png", label=label, shipped=side))
        for number, (label, side, _) in enumerate(rows)
    ]
    names = SimpleNamespace(names=[group for _, _, group in rows])
    return SimpleNamespace(cases=cases, groups=names, data_set=SimpleNamespace(root=Path("set")))


def decide(rows: list[Row], folds: int = 1, kind: Any = None, seed: int = 1) -> DecidedSides:
    return decide_sides(TASKS["stroke"], examined(rows), SplitRequest(kind=kind, folds=folds, seed=seed))


def sides_of_groups(rows: list[Row], decided: DecidedSides) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for (_, _, group), side in zip(rows, decided.sides, strict=True):
        found.setdefault(group, set()).add(side)
    return found


def without_test(prefix: str, torn: set[int], subjects: int = 40, images: int = 4) -> list[Row]:
    """Every fifth subject ships in validation, the others in training; torn ones have an image on the other side."""
    rows: list[Row] = []
    for subject in range(subjects):
        own: Side = "validation" if subject % 5 == 0 else "training"
        other: Side = "training" if own == "validation" else "validation"
        for image in range(images):
            rows.append((subject % 2, other if subject in torn and image == 0 else own, f"{prefix}-{subject}"))
    return rows


@pytest.mark.parametrize("folds", [1, 3])
@pytest.mark.parametrize("torn", [set(), {1}, set(range(0, 40, 3)), set(range(30))])
def test_a_drawn_test_side_shares_no_subject_with_shipped_validation(torn: set[int], folds: int) -> None:
    rows = without_test("subject", torn)
    decided = decide(rows, folds)
    found = sides_of_groups(rows, decided)
    assert all(len(own) == 1 for own in found.values() if "test" in own)
    assert {"training", "validation", "test"} == set(decided.sides)
    assert all(fold == -1 for fold, side in zip(decided.folds, decided.sides, strict=True) if side == "test")
    if folds == 1:
        assert sum("seem to be of subjects in training" in note for note in decided.notes) == bool(torn)
    else:
        assert all(len(own) == 1 for own in found.values()), "folds are drawn anew, so nothing is torn"


def test_a_shipped_validation_side_that_tears_every_subject_leaves_nothing_to_draw_from() -> None:
    rows = [(s % 2, "validation" if i == 0 else "training", f"subject-{s}") for s in range(40) for i in range(4)]
    with pytest.raises(DataError, match=r"set: no test side ships, and none can be drawn .*120 of 120 .*--split group"):
        decide(rows)
    assert all(len(own) == 1 for own in sides_of_groups(rows, decide(rows, kind="grouped")).values())


@pytest.mark.parametrize("torn", range(40))
def test_a_known_patient_on_both_shipped_sides_is_refused_whoever_would_be_drawn(torn: int) -> None:
    rows = without_test("patient", {torn})
    with pytest.raises(DataError, match="of patients who are in training, too"):
        decide(rows)
    assert all(len(own) == 1 for own in sides_of_groups(rows, decide(rows, folds=3)).values())


def test_a_drawn_validation_side_shares_groups_with_a_shipped_test_side_only() -> None:
    rows: list[Row] = [(s % 2, "test" if i == 0 else "training", f"subject-{s}") for s in range(40) for i in range(4)]
    found = sides_of_groups(rows, decide(rows))
    assert all("test" in own and len(own) == 2 for own in found.values())


def torn_draw(labels: list[int], *_: Any, **__: Any) -> list[str]:
    return [("training", "validation", "test")[number % 3] for number in range(len(labels))]


@pytest.mark.parametrize("shipped", ["none", "validation", "test"])
def test_a_draw_that_tears_a_group_is_refused_with_its_name(shipped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [
        (s % 2, None if shipped == "none" else shipped if s < 8 else "training", f"subject-{s}")  # type: ignore[misc]
        for s in range(40)
        for _ in range(3)
    ]
    monkeypatch.setattr(sides_module, "split_by_group", torn_draw)
    with pytest.raises(DataError, match=r"groups stand on two sides of the split: subject-\d+ \("):
        decide(rows)


def test_folds_that_tear_a_group_are_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = without_test("subject", set())
    monkeypatch.setattr(sides_module, "fold_of_each", lambda labels, *_: np.arange(len(labels)) % 3)
    with pytest.raises(DataError, match=r"groups stand on two sides of the split: subject-\d+ \(training and valid"):
        decide(rows, folds=3)
