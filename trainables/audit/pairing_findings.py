"""A finding about pairs of CT and MR that nothing but equal file numbers ties together."""

from collections.abc import Iterator

from trainables.audit.evidence import Evidence, Example, Finding, counted
from trainables.data.pairing_facts import ClassPairing

SHOWN_PAIRS_PER_CLASS = 3


def pairing_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning where pairs were made by number, with what was left over in each class and some pairs to see."""
    facts = evidence.pairing
    if facts is None or facts.paired_by != "number":
        return
    yield Finding(
        kind="paired_by_number",
        severity="warning",
        title=f"{counted(facts.pairs, 'pair')} of CT and MR made by file number only: nothing ties CT n and MRI n to "
        "one person",
        count=facts.pairs,
        examples=(*(Example((), _words(one)) for one in facts.classes), *_pictured(evidence)),
        done="Within a class, a number's first image in natural order is taken; pairs.csv beside this lists them all. "
        "No score tells what two images of one person would give; a patients.csv or pairs.csv at the set's root says "
        "which belong together.",
    )


def _words(one: ClassPairing) -> str:
    return (
        f"{one.name}: {counted(one.pairs, 'pair')}; {one.alone[0]} CT and {one.alone[1]} MR images without a partner; "
        f"{one.ambiguous[0]} numbers with several CT, {one.ambiguous[1]} with several MR candidates"
    )


def _pictured(evidence: Evidence) -> Iterator[Example]:
    """Yield the first pairs of each class, CT beside MR."""
    images = evidence.images.images
    shown: dict[int, int] = {}
    for row in range(len(images) - 1):
        is_pair = images[row].case == images[row + 1].case
        label = images[row].label
        if is_pair and shown.get(label, 0) < SHOWN_PAIRS_PER_CLASS:
            shown[label] = shown.get(label, 0) + 1
            yield Example((row, row + 1), f"taken for one {evidence.images.classes[label]} case")
