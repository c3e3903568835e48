"""What the audit found in the data, from the audit.json beside the journal."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from orchestrator.report.content import counted
from orchestrator.report.markup import Markup, joined, table, tag

_VERDICTS = {
    "leaks": ("bad", "The shipped split leaks: the same pictures or subjects stand on two of its sides."),
    "warnings": ("care", "Usable with care: read the warnings."),
    "clean": ("fine", "Nothing found that would mislead a model or its score."),
}


class _Example(BaseModel):
    images: list[str] = []
    words: str = ""


class _Finding(BaseModel):
    severity: Literal["leak", "warning", "note"] = "note"
    title: str
    count: int = 0
    done: str = ""
    examples: list[_Example] = []


class _Shortcut(BaseModel):
    feature: str
    score: float
    chance: float
    luck: float
    is_shortcut: bool = False
    modality: str | None = None
    images: int = 0


class Audit(BaseModel):
    """The part of audit.json that the page shows; keys that it does not know are passed over."""

    images: int
    groups: int = 0
    exact_duplicates: int = 0
    near_duplicates: int = 0
    cross_split_leaks: int = 0
    conflicts: int = 0
    unreadable: int = 0
    verdict: str = ""
    findings: list[_Finding] = []
    shortcuts: list[_Shortcut] = []
    notes: list[str] = []


def read_audit(path: Path) -> Audit | None:
    """Return the audit of a sweep's data; None where there is none, or it cannot be read."""
    try:
        return Audit.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def draw_audit(audit: Audit | None, link: str | None) -> Markup:
    """Return the findings; `link` leads to the page with pictures."""
    if audit is None:
        return tag("p", {"class": "quiet"}, "No audit that can be read stands in the sweep's folder.")
    words = "The audit's own page shows the pictures: share it as you would share the images."
    pictures = tag("p", None, tag("a", {"href": link}, "With pictures"), ". ", words) if link else None
    severity, verdict = _VERDICTS.get(audit.verdict, ("care", audit.verdict))
    return joined(
        [
            tag("p", {"class": f"warning {severity}"}, verdict),
            tag("p", {"class": "small"}, _numbers(audit)),
            *(_finding(finding) for finding in audit.findings),
            tag("ul", {"class": "small"}, *(tag("li", None, note) for note in audit.notes)) if audit.notes else None,
            _shortcuts(audit),
            pictures,
        ]
    )


def _numbers(audit: Audit) -> str:
    parts = [
        counted(audit.images, "readable image"),
        f"{audit.unreadable:,} unreadable",
        counted(audit.groups, "group"),
        counted(audit.exact_duplicates, "exact copy", "exact copies"),
        counted(audit.near_duplicates, "near-duplicate"),
        counted(audit.conflicts, "conflict of labels", "conflicts of labels"),
        f"{counted(audit.cross_split_leaks, 'shipped test image')} known from the other side",
    ]
    return ", ".join(parts) + "."


def _finding(finding: _Finding) -> Markup:
    examples = [
        tag("li", None, example.words, ": " if example.words and example.images else None, ", ".join(example.images))
        for example in finding.examples
    ]
    shown = counted(len(examples), "example") + (f" of {finding.count:,}" if finding.count > len(examples) else "")
    return tag(
        "div",
        {"class": f"finding {finding.severity}"},
        tag("p", None, tag("span", {"class": "badge"}, finding.severity), " ", tag("b", None, finding.title)),
        tag("p", {"class": "small"}, finding.done) if finding.done else None,
        tag("details", {"class": "small"}, tag("summary", None, shown), tag("ul", None, *examples))
        if examples
        else None,
    )


def _shortcuts(audit: Audit) -> Markup | None:
    if not audit.shortcuts:
        return None
    rows = [
        [
            one.feature + (f" ({one.modality})" if one.modality else ""),
            f"{one.score:.2f}",
            f"{one.chance:.2f}",
            f"{one.luck:.2f}",
            "shortcut" if one.is_shortcut else "",
        ]
        for one in audit.shortcuts
    ]
    head = ["feature alone", "balanced accuracy", "chance", "luck reaches", ""]
    words = f"Shortcuts: how well one feature alone tells the class ({counted(len(rows), 'measurement')})"
    return tag("details", None, tag("summary", None, words), table(head, rows, numeric=(1, 2, 3)))
