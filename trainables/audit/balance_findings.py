"""Findings about how many images, subjects and modalities each class has."""

from collections import Counter
from collections.abc import Iterator

from trainables.audit.evidence import Evidence, Finding, counted
from trainables.audit.facts import AuditInput

WARN_RATIO = 3.0
NOTE_RATIO = 1.5
FEW_GROUPS = 10
FEW_IMAGES = 20  # of a modality; shares of fewer say nothing
WARN_SHARE = 0.25


def image_counts(images: AuditInput) -> Counter[tuple[str, str, int]]:
    """Return how many images there are by side ("-" where the set ships no split), modality and class index."""
    return Counter((image.shipped or "-", image.modality, image.label) for image in images.images)


def balance_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield classes that are rare, that a modality lacks, or that rest on few groups."""
    yield from _classes(evidence)
    yield from _modalities(evidence)
    yield from _groups_of_a_class(evidence)


def _classes(evidence: Evidence) -> Iterator[Finding]:
    classes = evidence.images.classes
    counts = Counter(image.label for image in evidence.images.images)
    ordered = sorted(range(len(classes)), key=lambda label: counts[label])
    if not counts or len(ordered) < 2:
        return
    rare, common = ordered[0], ordered[-1]
    ratio = counts[common] / max(counts[rare], 1)
    if ratio < NOTE_RATIO:
        return
    yield Finding(
        kind="class_balance",
        severity="warning" if ratio >= WARN_RATIO else "note",
        title=f"{classes[common]} has {ratio:.1f} times the images of {classes[rare]} "
        f"({counts[common]:,} against {counts[rare]:,})",
        count=counts[rare],
        examples=(),
        done="Splits are stratified by class, and metrics that weigh every class alike are reported beside accuracy.",
    )


def _modalities(evidence: Evidence) -> Iterator[Finding]:
    classes = evidence.images.classes
    sizes = Counter(image.modality for image in evidence.images.images)
    counts = Counter((image.modality, image.label) for image in evidence.images.images)
    enough = sorted(modality for modality, size in sizes.items() if size >= FEW_IMAGES)
    said = []
    for label, name in enumerate(classes):
        shares = {modality: counts[modality, label] / sizes[modality] for modality in enough}
        if shares and max(shares.values()) - min(shares.values()) >= WARN_SHARE:
            said.append(f"{name} is " + " and ".join(f"{share:.0%} of {one}" for one, share in shares.items()))
    lacking = [
        f"{modality} has no {name}"
        for modality in sorted(sizes)
        for label, name in enumerate(classes)
        if not counts[modality, label]
    ]
    if (said or lacking) and len(sizes) > 1:
        yield Finding(
            kind="modality_balance",
            severity="warning",
            title=f"{'; '.join(lacking or said)}: the modality alone tells much of the class",
            count=len(lacking or said),
            examples=(),
            done="Nothing is changed: read scores per modality.",
        )


def _groups_of_a_class(evidence: Evidence) -> Iterator[Finding]:
    groups: dict[int, set[int]] = {label: set() for label in range(len(evidence.images.classes))}
    for image, group in zip(evidence.images.images, evidence.subjects.group_N.tolist(), strict=True):
        groups[image.label].add(group)
    few = {label: own for label, own in groups.items() if len(own) < FEW_GROUPS}
    if few:
        named = ", ".join(f"{evidence.images.classes[label]} ({len(own)})" for label, own in few.items())
        yield Finding(
            kind="few_groups",
            severity="warning",
            title=f"{counted(len(few), 'class', 'classes')} of fewer than {FEW_GROUPS} groups: {named}",
            count=len(few),
            examples=(),
            done="However many slices they have, scores on them rest on these few; their intervals say little.",
        )
