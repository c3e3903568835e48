"""Findings about features that tell the class without the anatomy."""

from collections.abc import Iterator, Sequence

from trainables.audit.evidence import MAX_EXAMPLES, Evidence, Example, Finding, counted
from trainables.audit.shortcuts import MIN_UNITS_PER_CLASS, Shortcut

_VISIBLE = (
    "It is in the pixels, so a model can use it instead of the anatomy (unless it is the anatomy). Nothing is removed: "
    "look at the heatmaps, and test on images of another source."
)
_MORE = {
    "aspect": " Images are squeezed to a square: a wide one shows a narrower head.",
    "modality": " Read scores per modality.",
}
_HARMLESS = (
    "Models never see them: every file is decoded to one grey channel of one size, without name, metadata or alpha. "
    "But they say that the classes come from different sources, and size and compression leave traces (blur, blocks)."
)
_HONEST = " Bytes per pixel follow what a picture shows, so the file size may be honest."


def shortcut_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning for each shortcut that a model can see, then a note about all that never reach a model.

    What too few groups leave open is one more note.
    """
    yield from _left_open(evidence)
    found: dict[str, list[Shortcut]] = {}
    for shortcut in evidence.shortcuts:
        if shortcut.is_shortcut:
            found.setdefault(shortcut.feature, []).append(shortcut)
    best = sorted((max(own, key=_lead) for own in found.values()), key=_lead, reverse=True)
    for one in best:
        if one.in_pixels:
            among = "" if one.modality is None else f" (among {one.modality} images)"
            yield Finding(
                kind=f"shortcut: {one.feature}",
                severity="warning",
                title=f"{_told(one, evidence.images.classes)} can be told from {one.feature} alone{among}: "
                f"{one.score:.0%} right (balanced), where chance is {one.chance:.0%}",
                count=one.num_images,
                examples=tuple(
                    Example((), f"{same.modality or 'all images'}, {same.score:.0%}: {same.detail}")
                    for same in found[one.feature]
                ),
                done=_VISIBLE + _MORE.get(one.feature, ""),
            )
    unseen = [one for one in best if not one.in_pixels]
    if unseen:
        yield Finding(
            kind="shortcuts outside the pixels",
            severity="note",
            title=f"The class can be told from {counted(len(unseen), 'feature')} outside the pixels: "
            + ", ".join(f"{one.feature} ({one.score:.0%}{_of_modality(one)})" for one in unseen),
            count=len(unseen),
            examples=tuple(Example((), f"{one.name}: {one.detail}") for one in unseen),
            done=_HARMLESS + (_HONEST if any(one.feature == "file size" for one in unseen) else ""),
        )


def _left_open(evidence: Evidence) -> Iterator[Finding]:
    unclear = sorted((one for one in evidence.shortcuts if one.is_unclear), key=_lead, reverse=True)
    groups: dict[int, set[int]] = {label: set() for label in range(len(evidence.images.classes))}
    for image, group in zip(evidence.images.images, evidence.subjects.group_N.tolist(), strict=True):
        groups[image.label].add(group)
    unmeasured = [evidence.images.classes[k] for k, own in groups.items() if len(own) < MIN_UNITS_PER_CLASS]
    said = []
    if unmeasured:
        said.append(
            f"{', '.join(unmeasured)}: fewer than {MIN_UNITS_PER_CLASS} groups, so shortcuts cannot be measured"
        )
    if unclear:
        named = ", ".join(f"{one.feature} ({one.score:.0%}{_of_modality(one)})" for one in unclear)
        said.append(f"the class seems to be told from {named}, but so few groups may do so by luck")
    if said:
        yield Finding(
            kind="shortcuts_unclear",
            severity="note",
            title="Too few groups to tell shortcuts from luck: " + "; ".join(said),
            count=len(unmeasured) + len(unclear),
            examples=tuple(Example((), f"{one.name}: {one.detail}") for one in unclear[:MAX_EXAMPLES]),
            done="Nothing is changed: look at these features yourself, or add patients.",
        )


def _told(shortcut: Shortcut, classes: Sequence[str]) -> str:
    return "The class" if len(classes) == 2 else f"Class {classes[shortcut.told]}"


def _of_modality(shortcut: Shortcut) -> str:
    return "" if shortcut.modality is None else f" of {shortcut.modality}"


def _lead(shortcut: Shortcut) -> float:
    """Return how far from chance to perfect the score lies."""
    return (shortcut.score - shortcut.chance) / (1 - shortcut.chance)
