"""Which copies the audit finds: planted into phantoms, each kind at several strengths, and its false alarms.

    PYTHONPATH=tests/support python tests/benchmarks/planted_leaks.py [--tasks stroke,alzheimer] [--help]

Recall is the share of planted copies that end up in one group with their original through near-duplicate pairs alone.
The clean phantom says how often the audit is wrong: images in a near-duplicate pair across patients, and images whose
group holds more than one patient. Patients are never shown to the audit. A minute per task on two cores.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from copies_support import SourceImage, audit_input, index_pairs, phantom_images
from planted_copies import CHANGES, planted_copy

from trainables.audit.near_duplicates import DuplicatePair, find_near_duplicates
from trainables.audit.subjects import group_subjects
from trainables.audit.unions import joined
from trainables.data.phantom import PHANTOMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(PHANTOMS))
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--copies", type=int, default=40, help="of each kind and strength; 0: the clean phantom alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recalls: dict[str, dict[str, float]] = {}
    for task in options.tasks.split(","):
        sources = read(task, options.patients, options.seed)
        clean(task, sources)
        if options.copies:
            recalls[task] = planted(sources, options.copies, options.seed)
    if recalls:
        print(f"\n{'recall':34}" + "".join(f"{task:>14}" for task in recalls))
        for name in next(iter(recalls.values())):
            print(f"{name:34}" + "".join(f"{recall[name]:14.2f}" for recall in recalls.values()))


def read(task: str, patients: int, seed: int) -> list[SourceImage]:
    with tempfile.TemporaryDirectory() as name:
        PHANTOMS[task](Path(name), patients, seed)
        return phantom_images(Path(name))


def clean(task: str, sources: list[SourceImage]) -> None:
    """Print what the audit says of a phantom without planted copies, against its patients."""
    images = audit_input(sources)
    started_s = time.perf_counter()
    pairs = find_near_duplicates(images, lambda *_: None)
    copies_s = time.perf_counter() - started_s
    groups = group_subjects(images, pairs)
    subjects_s = time.perf_counter() - started_s - copies_s
    patients_N = np.array([source.patient for source in sources])
    crossing = {i for pair in pairs if patients_N[pair.first] != patients_N[pair.second] for i in _ends(pair)}
    mixed = [i for i in range(len(sources)) if len(set(patients_N[groups.group_N == groups.group_N[i]])) > 1]
    truth, found = index_pairs(patients_N.tolist()), index_pairs(groups.group_N.tolist())
    threshold = "none" if groups.threshold is None else f"{groups.threshold:.2f}"
    print(
        f"{task}: {len(sources)} images; in pairs across patients {len(crossing) / len(sources):.2%}, in groups of "
        f"several patients {len(mixed) / len(sources):.2%}; pairs of one patient: recall {_share(truth & found, truth)}"
        f", precision {_share(truth & found, found)}; near-duplicate pairs {len(pairs)}, threshold for subjects "
        f"{threshold}; {copies_s:.1f} s for copies, {subjects_s:.1f} s for subjects",
        flush=True,
    )


def planted(sources: list[SourceImage], copies: int, seed: int) -> dict[str, float]:
    """Return recall by kind and strength; all are planted at once, each from images of its own draw."""
    rng = np.random.default_rng(seed)
    kinds = [(kind, strength) for kind, (_, strengths) in CHANGES.items() for strength in strengths]
    origins = {kind: rng.choice(len(sources), min(copies, len(sources)), replace=False) for kind in kinds}
    bank = list(sources)
    for kind, strength in kinds:
        for i in origins[kind, strength]:
            content = planted_copy(sources[i].content, kind, strength, rng)
            bank.append(SourceImage(f"{kind} {strength} {i}", sources[i].label, content))
    pairs = find_near_duplicates(audit_input(bank), lambda *_: None)
    group_N = joined(len(bank), ((pair.first, pair.second) for pair in pairs)).numbers()
    recalls, start = {}, len(sources)
    for kind, own in origins.items():
        together = group_N[start : start + len(own)] == group_N[own]
        recalls[f"{kind[0]} {kind[1]:g}"] = float(together.mean())
        start += len(own)
    return recalls


def _ends(pair: DuplicatePair) -> tuple[int, int]:
    return pair.first, pair.second


def _share(part: set[tuple[int, int]], whole: set[tuple[int, int]]) -> str:
    return f"{len(part) / len(whole):.2f}" if whole else "-"


if __name__ == "__main__":
    main()
