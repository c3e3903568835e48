"""How the two images of a case came together: what the reader of a set chose, in numbers and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

PairedBy = Literal["number", "patient", "table", "manifest"]


@dataclass(frozen=True, kw_only=True)
class ClassPairing:
    """One class: its pairs; of CT and of MR the images left over, and the numbers that several images share.

    Such a number counts only where the other modality has it, too: else nothing was chosen.
    """

    name: str
    pairs: int
    alone: tuple[int, int]
    ambiguous: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class PairingFacts:
    """Every class of a set, and the rule by which its pairs were made."""

    paired_by: PairedBy
    rule: str
    classes: Sequence[ClassPairing]

    @property
    def pairs(self) -> int:
        """Return how many pairs there are."""
        return sum(one.pairs for one in self.classes)

    def left_out(self) -> str:
        """Return a sentence on the images without a partner, by modality and class."""
        ct, mr = (sum(one.alone[side] for one in self.classes) for side in (0, 1))
        if not ct + mr:
            return "every CT and MR image has a partner"
        each = "; ".join(f"{one.name}: {one.alone[0]} CT, {one.alone[1]} MR" for one in self.classes)
        return f"{ct} CT and {mr} MR images have no partner and are left out ({each})"

    def ambiguous(self) -> str:
        """Return a sentence on the numbers that several images of a modality share, by modality and class."""
        ct, mr = (sum(one.ambiguous[side] for one in self.classes) for side in (0, 1))
        if not ct + mr:
            return "no number has several candidates"
        each = "; ".join(f"{one.name}: {one.ambiguous[0]} CT, {one.ambiguous[1]} MR" for one in self.classes)
        return (
            f"numbers with several candidates: {ct} on the CT and {mr} on the MR side ({each}); the first name in "
            "natural order is taken"
        )
