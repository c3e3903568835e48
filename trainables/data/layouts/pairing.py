"""Which CT belongs to which MR image: a choice that this project makes and tells, where the data does not say."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairing:
    """Pairs (CT path, MR path), and of how many numbers CT and MR had several candidates to choose from."""

    pairs: list[tuple[str, str]]
    num_ambiguous: tuple[int, int] = (0, 0)


def file_number(path: str) -> int | None:
    """Return the last number in a file's stem ("glioma (12).jpg" -> 12), or None."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    found = re.search(r"(\d+)\D*$", stem)
    return int(found[1]) if found else None


def natural_key(path: str) -> list[tuple[int, str]]:
    """Sort key under which 2 comes before 10."""
    return [(int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", path)]


def pair_by_number(ct: Iterable[str], mr: Iterable[str]) -> Pairing:
    """Pair equal file numbers; of several candidates on a side the first in natural order is taken."""
    ct_by_number, mr_by_number = _by_number(ct), _by_number(mr)
    common = sorted(ct_by_number.keys() & mr_by_number.keys())
    pairs = [(ct_by_number[number][0], mr_by_number[number][0]) for number in common]
    several_ct, several_mr = (sum(len(own[number]) > 1 for number in common) for own in (ct_by_number, mr_by_number))
    return Pairing(pairs, (several_ct, several_mr))


def pair_by_patient(ct: Iterable[str], mr: Iterable[str], patients: Mapping[str, str]) -> Pairing:
    """Pair images of one patient: equal file numbers first, then what is left in natural order, each image once."""
    pairs: list[tuple[str, str]] = []
    ct_by_patient, mr_by_patient = _by_patient(ct, patients), _by_patient(mr, patients)
    for patient in sorted(ct_by_patient.keys() & mr_by_patient.keys()):
        both = (ct_by_patient[patient], mr_by_patient[patient])
        numbered = pair_by_number(*both).pairs
        taken = {path for pair in numbered for path in pair}
        left = (sorted((path for path in own if path not in taken), key=natural_key) for own in both)
        pairs += [*numbered, *zip(*left, strict=False)]
    return Pairing(pairs)


def _by_patient(paths: Iterable[str], patients: Mapping[str, str]) -> dict[str, list[str]]:
    grouped = defaultdict(list)
    for path in paths:
        grouped[patients[path]].append(path)
    return grouped


def _by_number(paths: Iterable[str]) -> dict[int, list[str]]:
    numbered = defaultdict(list)
    for path in sorted(paths, key=natural_key):
        number = file_number(path)
        if number is not None:
            numbered[number].append(path)
    return numbered
