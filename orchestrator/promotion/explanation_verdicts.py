"""What a version's evidence says of its explainers: which of them do not show what the model looks at."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.promotion.evidence import EVIDENCE_FILE, EvidenceFolder, digest_of
from trainables.explain.map_warnings import MapVerdict, verdict_warnings


def explainer_warnings(evidence: Path, shown: Sequence[str], digest: str | None) -> list[str]:
    """Return what panels must say of explainers by these names: what they failed, and of which nothing is known.

    `digest` is what the registry keeps of the evidence, None where it keeps none: other evidence says nothing.
    """
    verdicts, why_none = explainer_verdicts(evidence, digest)
    return [why_none] if why_none else verdict_warnings(shown, verdicts)


def explainer_verdicts(evidence: Path, digest: str | None) -> tuple[dict[str, MapVerdict], str]:
    """Return what is known of explainers by their names, and why evidence that is there says nothing; else no words."""
    if not (evidence / EVIDENCE_FILE).is_file():
        return {}, ""
    if digest_of(evidence / EVIDENCE_FILE) != (digest or ""):
        return {}, f"{EVIDENCE_FILE} of the version was changed: what these maps are worth is not known."
    try:
        found = EvidenceFolder(evidence).evidence.explanations
    except BadInput:
        return {}, f"{EVIDENCE_FILE} of the version is damaged: what these maps are worth is not known."
    verdicts = {
        name: MapVerdict(one.beats_controls, one.sentences[0], one.depends_on_model, one.sentences[1])
        for name, one in found.items()
    }
    return verdicts, ""
