"""Which images are explained: some that the model got right, of each class and modality, and its surest mistakes."""

from collections.abc import Sequence

import numpy as np

from trainables.data.split_rows import SplitRow
from trainables.evaluation.figures.most_wrong import surest_mistakes


def shown_cases(probs_NK: np.ndarray, rows: Sequence[SplitRow], mistakes: int, of_a_kind: int) -> list[int]:
    """Return the images that get a panel: the typical right ones of each class and modality, then the surest mistakes.

    There are up to `of_a_kind` of each. Typical is who is as sure as the median of its kind: the surest ones would
    flatter the maps.
    """
    labels_N = np.array([row.label for row in rows])
    right_N = probs_NK.argmax(axis=1) == labels_N
    chosen: list[int] = []
    for kind in sorted({(row.label, row.modality) for row in rows}):
        own = [n for n, row in enumerate(rows) if right_N[n] and (row.label, row.modality) == kind]
        own.sort(key=lambda n: (probs_NK[n, labels_N[n]], n))
        middle = len(own) // 2
        nearest = sorted(range(len(own)), key=lambda place: (abs(place - middle), place))
        chosen += [own[place] for place in sorted(nearest[:of_a_kind])]
    return chosen + [int(n) for n in surest_mistakes(probs_NK, labels_N)[:mistakes]]


def proved_cases(rows: Sequence[SplitRow], has_mask_N: Sequence[bool], seed: int, most: int) -> list[int]:
    """Return the images whose maps are proved, in order: with a lesion first, of as many patients as can be.

    Drawn before anything is predicted, so that no map chooses its judges.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    seen: dict[str, int] = {}
    turn = {}
    for n in order:  # the first image of every patient comes before anybody's second
        turn[int(n)] = seen[rows[n].group] = seen.get(rows[n].group, 0) + 1
    ranked = sorted(turn, key=lambda n: (not has_mask_N[n], turn[n]))
    return sorted(ranked[:most])


def sanity_cases(rows: Sequence[SplitRow], cases: Sequence[int], seed: int, most: int) -> list[int]:
    """Return those of the proved cases that models of noise explain too, in order: of each class and modality in turn.

    Maps of one kind may all be blank, and then nothing can be told by them.
    """
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,))).permutation(cases)
    seen: dict[tuple[int, str], int] = {}
    turn = {}
    for n in order:
        kind = rows[n].label, rows[n].modality
        turn[int(n)] = seen[kind] = seen.get(kind, 0) + 1
    return sorted(sorted(turn, key=lambda n: turn[n])[:most])
