"""What the audit found, in words, worst first, and the report that holds it all."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from trainables.audit.balance_findings import balance_findings, image_counts
from trainables.audit.copy_findings import (
    conflict_findings,
    copy_findings,
    group_findings,
    leak_findings,
    shipped_test_leaks,
)
from trainables.audit.evidence import Evidence, Finding, Severity
from trainables.audit.file_findings import file_findings
from trainables.audit.linked_images import members
from trainables.audit.pairing_findings import pairing_findings
from trainables.audit.shortcut_findings import shortcut_findings
from trainables.audit.shortcuts import Shortcut

Verdict = Literal["clean", "warnings", "leaks"]
_WORST_FIRST: tuple[Severity, ...] = ("leak", "warning", "note")


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """Everything that the audit says of a data set; paths are relative to its root.

    `exact_duplicates` and `near_duplicates` count the images beyond the first of each cluster. `cross_split_leaks`
    counts shipped test images with a copy, near-duplicate, patient, case or group in training or validation.
    """

    classes: tuple[str, ...]
    images: int
    unreadable: tuple[tuple[str, str], ...]
    exact_duplicates: int
    near_duplicates: int
    groups: int
    group_sizes: dict[int, int]  # images in a group -> how many groups have so many
    largest_groups: list[list[int]]
    threshold: float | None
    why_groups: str
    cross_split_leaks: int
    leak_free_test_images: list[int]
    conflicts: int
    shortcuts: list[Shortcut]
    findings: list[Finding]
    counts: Counter[tuple[str, str, int]]  # of (side, modality, class index)
    paths: list[str]

    @property
    def verdict(self) -> Verdict:
        """Return what the worst finding makes of the set; a note leaves it clean."""
        severities = {finding.severity for finding in self.findings}
        return "leaks" if "leak" in severities else "warnings" if "warning" in severities else "clean"

    def to_json(self) -> dict[str, Any]:
        """Return what `data check --json` prints; all features tried are in `shortcuts`, `is_shortcut` marks them."""
        return {
            "images": self.images,
            "unreadable": len(self.unreadable),
            "exact_duplicates": self.exact_duplicates,
            "near_duplicates": self.near_duplicates,
            "groups": self.groups,
            "group_sizes": {str(size): count for size, count in sorted(self.group_sizes.items())},
            "cross_split_leaks": self.cross_split_leaks,
            "leak_free_test_images": len(self.leak_free_test_images),
            "conflicts": self.conflicts,
            "shortcuts": [_shortcut_json(shortcut) for shortcut in self.shortcuts],
            "verdict": self.verdict,
            "threshold": self.threshold,
            "why_groups": self.why_groups,
            "classes": list(self.classes),
            "counts": [
                {"side": side, "modality": modality, "class": self.classes[label], "images": count}
                for (side, modality, label), count in sorted(self.counts.items())
            ],
            "unreadable_files": [{"path": path, "reason": reason} for path, reason in self.unreadable],
            "findings": [
                {
                    "kind": finding.kind,
                    "severity": finding.severity,
                    "title": finding.title,
                    "count": finding.count,
                    "examples": [
                        {"images": [self.paths[image] for image in example.images], "words": example.words}
                        for example in finding.examples
                    ],
                    "done": finding.done,
                }
                for finding in self.findings
            ],
        }


def describe(evidence: Evidence) -> list[Finding]:
    """Return every finding, leaks first, then warnings, then notes."""
    found = [
        *leak_findings(evidence),
        *conflict_findings(evidence),
        *copy_findings(evidence),
        *group_findings(evidence),
        *pairing_findings(evidence),
        *shortcut_findings(evidence),
        *file_findings(evidence),
        *balance_findings(evidence),
    ]
    return sorted(found, key=lambda finding: _WORST_FIRST.index(finding.severity))


def make_report(evidence: Evidence) -> AuditReport:
    """Return the report of everything measured."""
    findings = describe(evidence)
    count_of = {finding.kind: finding.count for finding in findings}
    images, group_N = evidence.images, evidence.subjects.group_N
    leaking = {crossing.image for crossing in shipped_test_leaks(evidence)}
    groups = Counter(group_N.tolist())
    return AuditReport(
        classes=images.classes,
        images=len(images.images),
        unreadable=tuple(evidence.unreadable),
        exact_duplicates=count_of.get("bytes_copies", 0) + count_of.get("pixels_copies", 0),
        near_duplicates=count_of.get("near_copies", 0),
        groups=len(groups),
        group_sizes=dict(Counter(groups.values())),
        largest_groups=members(group_N)[:8],
        threshold=evidence.subjects.threshold,
        why_groups=evidence.subjects.why,
        cross_split_leaks=len(leaking),
        leak_free_test_images=[
            index for index, image in enumerate(images.images) if image.shipped == "test" and index not in leaking
        ],
        conflicts=count_of.get("conflicting_copies", 0) + count_of.get("conflicting_groups", 0),
        shortcuts=list(evidence.shortcuts),
        findings=findings,
        counts=image_counts(images),
        paths=[image.path for image in images.images],
    )


def _shortcut_json(shortcut: Shortcut) -> dict[str, Any]:
    return {
        "feature": shortcut.feature,
        "score": round(shortcut.score, 4),
        "chance": round(shortcut.chance, 4),
        "luck": round(shortcut.luck, 4),
        "is_shortcut": shortcut.is_shortcut,
        "is_unclear": shortcut.is_unclear,
        "in_pixels": shortcut.in_pixels,
        "modality": shortcut.modality,
        "images": shortcut.num_images,
        "detail": shortcut.detail,
    }
