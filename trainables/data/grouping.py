"""Which cases stay together: those of one patient, else those that the audit holds for one subject's."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainables.audit.facts import AuditedImage
from trainables.audit.linked_images import clusters, members
from trainables.audit.near_duplicates import DuplicatePair

PATIENT_GROUP = "patient-"  # begins the name of a group that patient ids made
GroupedBy = Literal["patient", "audit", "patient and audit"]


@dataclass(frozen=True)
class CaseGroups:
    """A name per case and group_N, its number for each image; a group is never split. No patient's own name is here."""

    names: list[str]
    group_N: np.ndarray
    grouped_by: GroupedBy


def group_cases(
    images: Sequence[AuditedImage], duplicates: Sequence[DuplicatePair], subject_N: np.ndarray
) -> CaseGroups:
    """Join the images of one case, of one patient, of exact copies, and, without patient ids, of the audit's subjects.

    `subject_N` is the audit's group of each image. The same bytes or pixels under two patient ids join both patients:
    one of the ids is wrong, and both sides of a split must not see the picture.
    """
    group_N = clusters(len(images), _links(images, duplicates, subject_N))
    names: dict[int, str] = {}
    for number, own in enumerate(members(group_N, at_least=1)):
        name = _name([images[row] for row in own], number + 1)
        for row in own:
            names[images[row].case] = name
    return CaseGroups([names[case] for case in sorted(names)], group_N, _grouped_by(images))


def _links(
    images: Sequence[AuditedImage], duplicates: Sequence[DuplicatePair], subject_N: np.ndarray
) -> Iterator[tuple[int, int]]:
    first_of: dict[tuple[str, Hashable], int] = {}
    for row, image in enumerate(images):
        yield row, first_of.setdefault(("case", image.case), row)
        if image.patient_id is not None:
            yield row, first_of.setdefault(("patient", image.patient_id), row)
    for pair in duplicates:
        if pair.kind != "near" or None in (images[pair.first].patient_id, images[pair.second].patient_id):
            yield pair.first, pair.second
    for own in members(subject_N):
        # One subject under several patient ids is several patients: the ids know better than the pixels.
        several = len({images[row].patient_id for row in own} - {None}) > 1
        kept = [row for row in own if images[row].patient_id is None] if several else own
        yield from ((kept[0], row) for row in kept[1:])


def _name(own: list[AuditedImage], number: int) -> str:
    """Return a name that says nothing of the patient: a digest of a short hospital number is soon guessed."""
    if any(image.patient_id is not None for image in own):
        return f"{PATIENT_GROUP}{number:05d}"
    if len({image.case for image in own}) == 1:
        return own[0].path
    return f"subject-{number:05d}"


def _grouped_by(images: Sequence[AuditedImage]) -> GroupedBy:
    known = {image.patient_id is not None for image in images}
    if known == {True}:
        return "patient"
    return "patient and audit" if True in known else "audit"
