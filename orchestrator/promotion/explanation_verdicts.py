"""What a version's evidence says of its explainers: which of them do not show what the model looks at."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.promotion.evidence import EVIDENCE_FILE, EvidenceFolder
from trainables.explain.map_warnings import MapVerdict, verdict_warnings


def explainer_warnings(evidence: Path, shown: Sequence[str]) -> list[str]:
    """Return what panels must say of explainers by these names: what they failed, and of which nothing is known."""
    if not (evidence / EVIDENCE_FILE).is_file():
        return verdict_warnings(shown, {})
    try:
        verdicts = EvidenceFolder(evidence).evidence.explanations
    except BadInput:
        return [f"{EVIDENCE_FILE} of the version is damaged: what these maps are worth is not known."]
    return verdict_warnings(
        shown,
        {
            name: MapVerdict(one.beats_controls, one.sentences[0], one.depends_on_model, one.sentences[1])
            for name, one in verdicts.items()
        },
    )
