"""Which side of the split each case stands on: as shipped, or drawn between groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.catalog import Task
from trainables.data.examine import ExaminedData
from trainables.data.grouping import PATIENT_GROUP
from trainables.data.records import Side
from trainables.data.splits import Fractions, fold_of_each, require_whole_groups, split_by_group
from trainables.errors import DataError

SplitKind = Literal["shipped", "grouped"]
VALIDATION_FRACTION = 0.15  # of what is left beside a test set that ships
# A test side that is drawn here is the same for every seed of a sweep: else another seed trains on the last one's test.
TEST_SEED = 0
MOST_OF_FREE = 0.5  # of the cases that a test side can be drawn from: training needs some of them, too


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """How the data are split; None means as shipped where a test set ships, else by group."""

    kind: SplitKind | None
    folds: int
    seed: int


@dataclass(frozen=True)
class DecidedSides:
    """Side and fold of every case (-1: validates in no fold), and what a user should know of the split."""

    kind: SplitKind
    sides: list[Side]
    folds: list[int]
    notes: list[str]


def decide_sides(task: Task, examined: ExaminedData, request: SplitRequest) -> DecidedSides:
    """Return each case's side and fold.

    Raises DataError where no split can be made, where a side would have no image of a class that it needs, where a
    group stands on a side that was drawn here and on another one, and where a shipped validation side tears a known
    patient.
    """
    kind, sides, notes = _sides(task, examined, request)
    if request.folds > 1 and "validation" in [case.record.shipped for case in examined.cases]:
        notes.append("folds are drawn between groups: the shipped validation side is not used")
    sides, folds = _folds(examined, sides, request)
    _require_drawn_apart(examined, kind, sides, request)
    _require_classes(task, examined, sides)
    return DecidedSides(kind, sides, folds, [*notes, *_absent_classes(task, examined, sides)])


def default_test_cases(task: Task, examined: ExaminedData) -> list[int]:
    """Return the cases that a sweep tests on unless it asks for another split; none where no split can be made."""
    shipped = [number for number, case in enumerate(examined.cases) if case.record.shipped == "test"]
    if shipped:
        return shipped
    try:
        decided = decide_sides(task, examined, SplitRequest(kind=None, folds=1, seed=0))
    except DataError:
        return []
    return [number for number, side in enumerate(decided.sides) if side == "test"]


def _sides(task: Task, examined: ExaminedData, request: SplitRequest) -> tuple[SplitKind, list[Side], list[str]]:
    """Keep what ships, draw the other lines between groups, and say what is not obvious."""
    shipped = [case.record.shipped for case in examined.cases]
    labels, groups = [case.record.label for case in examined.cases], examined.groups.names
    if request.kind == "shipped" and "test" not in shipped:
        raise DataError(f"{examined.data_set.root}: ships no test set; leave --split out or say --split grouped")
    if request.kind == "grouped" or not {"test", "validation"} & set(shipped):
        fractions = _fractions(task, shipped)
        sides = split_by_group(labels, groups, fractions, test_seed=TEST_SEED, seed=request.seed)
        return "grouped", sides, []
    sides = [side or "training" for side in shipped]
    notes = []
    if "validation" in shipped and request.folds < 2:
        notes += _check_validation(examined, sides)
    training = [case for case, side in enumerate(sides) if side == "training"]
    if "test" not in shipped:
        drawn = _draw_test(task, examined, sides, training)
        notes.append("no test side ships: one was drawn between groups from training; the shipped validation is kept")
    else:
        fractions = Fractions(validation=VALIDATION_FRACTION, test=0)
        drawn = {} if "validation" in shipped else _drawn(labels, groups, training, fractions, request.seed)
    return "shipped", [drawn.get(case, side) for case, side in enumerate(sides)], notes


def _draw_test(task: Task, examined: ExaminedData, sides: list[Side], training: list[int]) -> dict[int, Side]:
    """Draw a test side beside a shipped validation side: of training cases whose groups do not stand there, too."""
    labels, groups = [case.record.label for case in examined.cases], examined.groups.names
    in_validation = {group for group, side in zip(groups, sides, strict=True) if side == "validation"}
    free = [case for case in training if groups[case] not in in_validation]
    if len({labels[case] for case in free}) < 2:
        raise DataError(
            f"{examined.data_set.root}: no test side ships, and none can be drawn beside the shipped validation side: "
            f"{len(training) - len(free)} of {len(training)} training images are of groups (patients) that stand "
            "there, too; say --split grouped"
        )
    share = min(MOST_OF_FREE, task.split_fractions[2] * len(training) / len(free))
    return _drawn(labels, groups, free, Fractions(validation=0, test=share), TEST_SEED)


def _drawn(labels: list[int], groups: list[str], cases: list[int], fractions: Fractions, seed: int) -> dict[int, Side]:
    """Return the sides of some cases after a draw between their groups."""
    own_labels, own_groups = [labels[case] for case in cases], [groups[case] for case in cases]
    sides = split_by_group(own_labels, own_groups, fractions, test_seed=TEST_SEED, seed=seed)
    return dict(zip(cases, sides, strict=True))


def _check_validation(examined: ExaminedData, sides: Sequence[Side]) -> list[str]:
    """Refuse a shipped validation side that tears a known patient; count what only looks like one subject."""
    training = {group for group, side in zip(examined.groups.names, sides, strict=True) if side == "training"}
    torn = [
        (case.record.path, group)
        for case, group, side in zip(examined.cases, examined.groups.names, sides, strict=True)
        if side == "validation" and group in training
    ]
    of_patients = [path for path, group in torn if group.startswith(PATIENT_GROUP)]
    if of_patients:
        raise DataError(
            f"{examined.data_set.root}: {len(of_patients)} images of the shipped validation side are of patients who "
            f"are in training, too, e.g. {of_patients[0]}; correct the split, or say --split grouped"
        )
    if not torn:
        return []
    return [
        f"{len(torn)} images of the shipped validation side seem to be of subjects in training, e.g. {torn[0][0]}: "
        "models are chosen by memory; --split grouped mends it"
    ]


def _fractions(task: Task, shipped: Sequence[Side | None]) -> Fractions:
    """Return the task's shares; where a test set ships that is not used, its share and 15 % of the rest."""
    if "test" not in shipped:
        return Fractions(validation=task.split_fractions[1], test=task.split_fractions[2])
    test = shipped.count("test") / len(shipped)
    return Fractions(validation=VALIDATION_FRACTION * (1 - test), test=test)


def _folds(examined: ExaminedData, sides: Sequence[Side], request: SplitRequest) -> tuple[list[Side], list[int]]:
    """Return sides and fold of each case: the first fold validates in the search. Without folds, sides as they are."""
    folds = [-1] * len(sides)
    if request.folds < 2:
        return list(sides), folds
    development = [case for case, side in enumerate(sides) if side != "test"]
    labels = [examined.cases[case].record.label for case in development]
    groups = [examined.groups.names[case] for case in development]
    refolded = list(sides)
    for case, fold in zip(development, fold_of_each(labels, groups, request.folds, request.seed), strict=True):
        folds[case] = int(fold)
        refolded[case] = "validation" if fold == 0 else "training"
    return refolded, folds


def _require_drawn_apart(examined: ExaminedData, kind: SplitKind, sides: Sequence[Side], request: SplitRequest) -> None:
    """Raise DataError where a side that was drawn here shares a group; what ships may leak, and is counted."""
    groups, shipped = examined.groups.names, {case.record.shipped for case in examined.cases}
    if kind == "grouped" or "test" not in shipped:
        require_whole_groups(groups, ["test" if side == "test" else "development" for side in sides])
    if kind == "grouped" or "validation" not in shipped or request.folds > 1:
        development = [case for case, side in enumerate(sides) if side != "test"]
        require_whole_groups([groups[case] for case in development], [sides[case] for case in development])


def _require_classes(task: Task, examined: ExaminedData, sides: Sequence[Side]) -> None:
    """Every class must be in training, and two at least on the other sides, or no score means anything."""
    wanted: dict[Side, int] = {"training": len(task.classes), "validation": 2, "test": 2}
    for side, least in wanted.items():
        missing = _missing(task, examined, sides, side)
        if len(task.classes) - len(missing) < least:
            rule = "every class is needed there" if side == "training" else "two classes are needed there at least"
            raise DataError(
                f"{examined.data_set.root}: {side} has no readable image of class {', '.join(missing)}; {rule}"
            )


def _absent_classes(task: Task, examined: ExaminedData, sides: Sequence[Side]) -> list[str]:
    absent: dict[Side, list[str]] = {side: _missing(task, examined, sides, side) for side in ("validation", "test")}
    return [
        f"{side} has no image of class {', '.join(missing)}: too few groups; its scores are over the others"
        for side, missing in absent.items()
        if missing
    ]


def _missing(task: Task, examined: ExaminedData, sides: Sequence[Side], side: Side) -> list[str]:
    found = {case.record.label for case, own in zip(examined.cases, sides, strict=True) if own == side}
    return [name for label, name in enumerate(task.classes) if label not in found]
