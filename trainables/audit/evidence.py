"""What the audit measured, and what a finding is: the words of every module that describes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainables.audit.facts import AuditInput
from trainables.audit.near_duplicates import DuplicatePair
from trainables.audit.shortcuts import Shortcut
from trainables.audit.subjects import SubjectGroups
from trainables.data.pairing_facts import PairingFacts

Severity = Literal["leak", "warning", "note"]
MAX_EXAMPLES = 12


@dataclass(frozen=True)
class Evidence:
    """Everything measured on one data set; `unreadable` holds relative path and reason of each file left out.

    `pairing` is how cases of two images were made, where the set's layout made them.
    """

    images: AuditInput
    pairs: Sequence[DuplicatePair]
    subjects: SubjectGroups
    shortcuts: Sequence[Shortcut]
    unreadable: Sequence[tuple[str, str]] = ()
    pairing: PairingFacts | None = None


@dataclass(frozen=True)
class Example:
    """Images to show side by side (indices of the AuditInput; none for a file that cannot be read) and a caption."""

    images: tuple[int, ...]
    words: str


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know: what, how many, a dozen examples at most, and what is done about it."""

    kind: str
    severity: Severity
    title: str
    count: int
    examples: tuple[Example, ...]
    done: str


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return "1 image", "2 images", "1,200 copies"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
