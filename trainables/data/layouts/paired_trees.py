"""Two trees of class folders, CT and MRI: each case is one image of both, paired by a rule that the notes tell."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.catalog import Task
from trainables.data.layouts.classes import class_of_folder
from trainables.data.layouts.folders import find_root, images_below, other_files_note, visible_folders
from trainables.data.layouts.pairing import Pairing, pair_by_number, pair_by_patient
from trainables.data.layouts.pairs_table import TABLE as PAIRS_TABLE
from trainables.data.layouts.pairs_table import read_pairs
from trainables.data.layouts.patients import TABLE as PATIENTS_TABLE
from trainables.data.layouts.patients import check_complete, read_patients, strangers_note
from trainables.data.pairing_facts import ClassPairing, PairedBy, PairingFacts
from trainables.data.records import DataSet, ImageRecord, read_below
from trainables.errors import DataError

EXPECTED = (
    "two folders, one named with the word CT and one with MRI (in it or in its Dataset/), each with class folders"
)
Labels = dict[str, int]  # path -> class index
Pair = tuple[str, str, str | None]  # CT path, MR path, patient
_RULES: Mapping[PairedBy, str] = {
    "number": "CT and MR images are paired by number only, within a class: nothing ties CT n and MRI n to one person"
    f" ({PATIENTS_TABLE} or {PAIRS_TABLE} beside the folders says it better)",
    "patient": f"CT and MR images are paired by patient, as {PATIENTS_TABLE} gives them; of one patient and class first"
    " equal numbers, then what is left in natural order",
    "table": f"pairs are those of {PAIRS_TABLE}",
}


def read(task: Task, data: Path) -> DataSet:
    """Return a case for each pair: path is the CT image, second_path the MR image; neither stands in two pairs.

    Pairs are those of pairs.csv where the root holds one; else images of one patient where it holds patients.csv with
    every image in it; else equal file numbers within a class. Images without a partner are left out and counted in
    the notes. `data` is the root, its Dataset/ or one of the trees, or a folder that holds exactly one such root.
    Raises DataError for another layout, tables that do not fit, and a class without pairs.
    """
    root = _root(data)
    trees = [_tree(root, modality) for modality in ("CT", "MR")]
    ct, mr = (_labels(task, root, tree) for tree in trees)
    patients = read_patients(root)
    if (root / PAIRS_TABLE).is_file():
        pairs = _by_table(root, ct, mr, patients)
        facts = _facts(task, "table", ct, mr, pairs)
    else:
        pairs, facts = _by_rule(task, root, ct, mr, patients)
    records = [
        ImageRecord(path=first, second_path=second, label=ct[first], modality=task.modality, patient_id=patient_id)
        for first, second, patient_id in sorted(pairs, key=lambda pair: pair[:2])
    ]
    _check_every_class(root, facts)
    told = f"{facts.rule}; {facts.ambiguous()}" if facts.paired_by == "number" else facts.rule
    notes = (told, facts.left_out(), *strangers_note(patients, ct.keys() | mr.keys()), *other_files_note(trees, root))
    return DataSet(root=root, records=records, read=read_below(root), notes=notes, pairing=facts)


def _root(data: Path) -> Path:
    try:
        return find_root(data, _is_root, _is_part, EXPECTED)[0]
    except DataError as error:
        raise _lone_tree(data) or error from None


def _lone_tree(data: Path) -> DataError | None:
    """Return the fault of a set that lacks one modality altogether, if that is what `data` holds or belongs to."""
    below = [child for child in visible_folders(data) if _is_dataset(child.name)]
    for folder in (data, *below, *([data.parent] if data.is_dir() and _modality(data.name) else [])):
        trees = [child for child in visible_folders(folder) if _modality(child.name) and not _is_root(child)]
        told = {_modality(tree.name) for tree in trees}
        if len(told) == 1:
            names = ", ".join(repr(tree.name) for tree in trees)
            own, other = ("CT", "MRI") if told == {"CT"} else ("MR", "CT")
            return DataError(
                f"{folder}: only {own} images ({names}), no folder named with the word {other}; a case is one "
                "image of each"
            )
    return None


def _check_every_class(root: Path, facts: PairingFacts) -> None:
    for one in facts.classes:
        if not one.pairs:
            ways = {
                "number": f"none of the same number; {PAIRS_TABLE} in {root} says which belong together",
                "patient": f"none of the same patient by {PATIENTS_TABLE}; every class needs some",
            }
            way_out = ways.get(facts.paired_by, f"none of them in {PAIRS_TABLE}; every class needs some")
            ct, mr = one.alone
            raise DataError(
                f"{root}: no pairs of CT and MR images of class {one.name!r}: {ct} CT and {mr} MR images"
                + (f", {way_out}" if ct and mr else "; every class needs both")
            )


def _is_root(folder: Path) -> bool:
    below = [child for child in visible_folders(folder) if _is_dataset(child.name)]
    return any(_has_both(child) for child in below) or (not _is_dataset(folder.name) and _has_both(folder))


def _is_part(folder: Path) -> bool:
    return _is_dataset(folder.name) or _modality(folder.name) is not None


def _is_dataset(name: str) -> bool:
    return name.casefold() == "dataset"


def _has_both(folder: Path) -> bool:
    return {"CT", "MR"} <= {_modality(child.name) for child in visible_folders(folder)}


def _modality(name: str) -> str | None:
    """Return the modality that a tree's own name tells as a word."""
    words = set(re.split(r"[^a-z]+", name.casefold()))
    told = [modality for modality, spellings in (("CT", {"ct"}), ("MR", {"mr", "mri"})) if words & spellings]
    return told[0] if len(told) == 1 else None


def _tree(root: Path, modality: str) -> Path:
    below = [child for child in visible_folders(root) if _is_dataset(child.name)]
    top = next((child for child in below if _has_both(child)), root)
    trees = [child for child in visible_folders(top) if _modality(child.name) == modality]
    if len(trees) > 1:
        raise DataError(f"{top}: {len(trees)} {modality} folders ({', '.join(tree.name for tree in trees)}); keep one")
    return trees[0]


def _labels(task: Task, root: Path, tree: Path) -> Labels:
    return {name: class_of_folder(task, path.parent) for path, name in images_below(tree, root)}


def _by_rule(
    task: Task, root: Path, ct: Labels, mr: Labels, patients: dict[str, str]
) -> tuple[list[Pair], PairingFacts]:
    """Pair within each class."""
    if patients:
        check_complete(root, patients, [*ct, *mr])
    pairings: list[Pairing] = []
    for label in range(len(task.classes)):
        own_ct, own_mr = ([path for path in tree if tree[path] == label] for tree in (ct, mr))
        pairings.append(pair_by_patient(own_ct, own_mr, patients) if patients else pair_by_number(own_ct, own_mr))
    pairs = [(*pair, patients.get(pair[0])) for pairing in pairings for pair in pairing.pairs]
    ambiguous = [pairing.num_ambiguous for pairing in pairings]
    return pairs, _facts(task, "patient" if patients else "number", ct, mr, pairs, ambiguous)


def _facts(
    task: Task,
    paired_by: PairedBy,
    ct: Labels,
    mr: Labels,
    pairs: Sequence[Pair],
    ambiguous: Sequence[tuple[int, int]] | None = None,
) -> PairingFacts:
    num_pairs, num_ct, num_mr = Counter(ct[pair[0]] for pair in pairs), Counter(ct.values()), Counter(mr.values())
    classes = [
        ClassPairing(
            name=name,
            pairs=num_pairs[label],
            alone=(num_ct[label] - num_pairs[label], num_mr[label] - num_pairs[label]),
            ambiguous=ambiguous[label] if ambiguous else (0, 0),
        )
        for label, name in enumerate(task.classes)
    ]
    return PairingFacts(paired_by=paired_by, rule=_RULES[paired_by], classes=classes)


def _by_table(root: Path, ct: Labels, mr: Labels, patients: dict[str, str]) -> list[Pair]:
    rows = read_pairs(root, ct, mr)
    has_own_patients = rows[0].patient_id is not None
    if patients and not has_own_patients:
        check_complete(root, patients, [path for row in rows for path in (row.ct, row.mr)])
    for row in rows:
        if ct[row.ct] != mr[row.mr]:
            raise DataError(f"{row.where}: {row.ct!r} and {row.mr!r} are of two classes; a case has one")
        if not has_own_patients and patients.get(row.ct) != patients.get(row.mr):
            raise DataError(
                f"{row.where}: {PATIENTS_TABLE} gives its two images to two patients; correct one of the two"
            )
    return [(row.ct, row.mr, row.patient_id or patients.get(row.ct)) for row in rows]
