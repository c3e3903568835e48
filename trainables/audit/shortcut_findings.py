"""Findings about features that tell the class without the anatomy."""

from collections.abc import Iterator, Sequence

from trainables.audit.evidence import Evidence, Example, Finding, counted
from trainables.audit.shortcuts import Shortcut

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
    """Yield a warning for each shortcut that a model can see, then one note about all that never reach a model."""
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


def _told(shortcut: Shortcut, classes: Sequence[str]) -> str:
    return "The class" if len(classes) == 2 else f"Class {classes[shortcut.told]}"


def _of_modality(shortcut: Shortcut) -> str:
    return "" if shortcut.modality is None else f" of {shortcut.modality}"


def _lead(shortcut: Shortcut) -> float:
    """Return how far from chance to perfect the score lies."""
    return (shortcut.score - shortcut.chance) / (1 - shortcut.chance)
