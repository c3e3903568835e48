"""Findings about images that are not independent: copies, subjects, leaks through the shipped split, conflicts."""

from collections.abc import Iterator, Sequence

import numpy as np

from trainables.audit.evidence import MAX_EXAMPLES, Evidence, Example, Finding, Severity, counted
from trainables.audit.linked_images import Crossing, clusters, conflicts, crossings, in_words, members
from trainables.audit.near_duplicates import DuplicatePair
from trainables.data.records import Side

STRIP = 10  # images of one group that are shown
_KEPT_TOGETHER = "Copies stay on one side of every split that is made here; none is removed."
_NEAR_TOGETHER = (
    "They are copies of one picture, or neighbouring slices of one subject. They stay on one side of every split that "
    "is made here, but those of patients with different ids; none is removed."
)
_TITLES = {
    "bytes": "{} of a file, byte for byte, in {}",
    "pixels": "{} of a picture, only stored differently, in {}",
    "near": "{} of a picture (mirrored and turned ones count), in {}",
}
_NOUNS = {"bytes": ("copy", "copies"), "pixels": ("copy", "copies"), "near": ("near-duplicate", "near-duplicates")}


def copy_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each kind of copy that occurs; the count is of images beyond the first of a cluster."""
    num_images = len(evidence.images.images)
    linked: list[tuple[int, int]] = []
    for kind, (one, many) in _NOUNS.items():
        before_N = clusters(num_images, linked)
        own = [pair for pair in evidence.pairs if pair.kind == kind]
        linked += [(pair.first, pair.second) for pair in own]
        after_N = clusters(num_images, linked)
        extra = len(set(before_N.tolist())) - len(set(after_N.tolist()))
        if not extra:
            continue
        num_clusters = len({int(after_N[pair.first]) for pair in own})
        yield Finding(
            kind=f"{kind}_copies",
            severity="note" if _all_known(evidence, own) else "warning",
            title=_TITLES[kind].format(counted(extra, one, many), counted(num_clusters, "cluster")),
            count=extra,
            examples=_pair_examples(own, after_N),
            done=(_NEAR_TOGETHER if kind == "near" else _KEPT_TOGETHER)
            + (" All are of known patients, who stay together anyway." if _all_known(evidence, own) else ""),
        )


def group_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield the groups of several images that must not be torn apart, and whether patients are known."""
    own = members(evidence.subjects.group_N)
    known = sum(image.patient_id is not None for image in evidence.images.images)
    if own:
        inside = sum(map(len, own))
        why = evidence.subjects.why
        yield Finding(
            kind="subject_groups",
            severity="note",
            title=f"{counted(inside, 'image')} in {counted(len(own), 'group')} of two or more",
            count=len(own),
            examples=tuple(Example(tuple(group[:STRIP]), counted(len(group), "image")) for group in own[:MAX_EXAMPLES]),
            done=f"{why[:1].upper()}{why[1:]}. A group stays on one side of every split that is made here.",
        )
    if known < len(evidence.images.images):
        missing = len(evidence.images.images) - known
        yield Finding(
            kind="patients_unknown",
            severity="warning",
            title=f"{counted(missing, 'image')} of {len(evidence.images.images):,} without a patient id",
            count=missing,
            examples=(),
            done="Groups are guessed from the pictures. A patients.csv (path, patient_id) at the set's root settles "
            "it; until then no score can be called patient-level.",
        )


def leak_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield the test (and validation) images of the shipped split that the other side gives away."""
    if leaking := shipped_test_leaks(evidence):
        free = sum(image.shipped == "test" for image in evidence.images.images) - len(leaking)
        trust = f"Trust those on its {counted(free, 'image')} without a twin, or split" if free else "Split"
        done = f"Scores on the shipped test set are inflated. {trust} by groups (--split grouped)."
        yield _leak(leaking, "cross_split_leaks", "the shipped test set", done)
    others: set[Side] = {"training"}
    if leaking := crossings(evidence.images, evidence.pairs, evidence.subjects.group_N, "validation", others):
        done = "Models chosen on the shipped validation set are chosen by memory; split by groups (--split grouped)."
        yield _leak(leaking, "validation_leaks", "the shipped validation set", done)


def shipped_test_leaks(evidence: Evidence) -> list[Crossing]:
    """Return the shipped test images that have a copy, patient, case or group in training or validation."""
    others: set[Side] = {"training", "validation"}
    return crossings(evidence.images, evidence.pairs, evidence.subjects.group_N, "test", others)


def conflict_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield clusters of copies whose classes differ, and subject groups whose classes differ."""
    copies = conflicting_copies(evidence)
    if copies:
        yield Finding(
            kind="conflicting_copies",
            severity="warning",
            title=f"{counted(len(copies), 'cluster')} of copies with more than one class: some label is wrong",
            count=len(copies),
            examples=_class_examples(evidence, copies),
            done="Nothing is changed: look, then correct or remove them in the set.",
        )
    in_copies = {image for own in copies for image in own}
    groups = [own for own in conflicts(evidence.images, evidence.subjects.group_N) if not in_copies & set(own)]
    if groups:
        yield Finding(
            kind="conflicting_groups",
            severity="warning",
            title=f"{counted(len(groups), 'group')} of more than one class: a wrong label, a finding in some slices "
            "only, or two subjects taken for one",
            count=len(groups),
            examples=_class_examples(evidence, groups),
            done="Nothing is changed: look at them.",
        )


def conflicting_copies(evidence: Evidence) -> list[list[int]]:
    """Return the clusters of copies and near-duplicates whose images have more than one class."""
    links = ((pair.first, pair.second) for pair in evidence.pairs)
    return conflicts(evidence.images, clusters(len(evidence.images.images), links))


def _all_known(evidence: Evidence, pairs: Sequence[DuplicatePair]) -> bool:
    """Return whether every pair is of one known patient: slices next to each other, no surprise."""
    patient = [image.patient_id for image in evidence.images.images]
    return all(patient[pair.first] is not None and patient[pair.first] == patient[pair.second] for pair in pairs)


def _pair_examples(pairs: Sequence[DuplicatePair], cluster_N: np.ndarray) -> tuple[Example, ...]:
    """Return one pair of each cluster, spread from the most to the least alike: the doubtful ones must be seen too."""
    ordered = sorted(pairs, key=lambda pair: -pair.correlation)
    first_of = {int(cluster_N[pair.first]): pair for pair in reversed(ordered)}
    chosen = sorted(first_of.values(), key=lambda pair: -pair.correlation)
    if len(chosen) > MAX_EXAMPLES:
        chosen = [chosen[at] for at in np.linspace(0, len(chosen) - 1, MAX_EXAMPLES).round().astype(int)]
    return tuple(Example((pair.first, pair.second), in_words(pair)) for pair in chosen)


def _class_examples(evidence: Evidence, found: Sequence[list[int]]) -> tuple[Example, ...]:
    """Return one image of each class of each cluster, and how many there are of each."""
    examples = []
    for own in found[:MAX_EXAMPLES]:
        of_class: dict[int, list[int]] = {}
        for image in own:
            of_class.setdefault(evidence.images.images[image].label, []).append(image)
        words = ", ".join(f"{len(same)} {evidence.images.classes[label]}" for label, same in sorted(of_class.items()))
        examples.append(Example(tuple(same[0] for _, same in sorted(of_class.items())), words))
    return tuple(examples)


def _leak(leaking: Sequence[Crossing], kind: str, where: str, done: str) -> Finding:
    severity: Severity = "leak"
    by_why: dict[str, int] = {}
    for one in leaking:
        by_why[one.why.partition(",")[0]] = by_why.get(one.why.partition(",")[0], 0) + 1
    reasons = ", ".join(f"{why}: {count:,}" for why, count in by_why.items())
    return Finding(
        kind=kind,
        severity=severity,
        title=f"{counted(len(leaking), 'image')} of {where} known from the other side ({reasons})",
        count=len(leaking),
        examples=tuple(Example((one.image, one.other), one.why) for one in _spread(leaking)),
        done=done,
    )


def _spread(leaking: Sequence[Crossing]) -> list[Crossing]:
    at = np.linspace(0, len(leaking) - 1, min(MAX_EXAMPLES, len(leaking))).round().astype(int)
    return [leaking[i] for i in at]
