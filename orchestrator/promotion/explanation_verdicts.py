"""What a version's evidence says of its explainers: which of them do not show what the model looks at."""

from collections.abc import Collection
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.promotion.evidence import EVIDENCE_FILE, EvidenceFolder


def explainer_warnings(evidence: Path, shown: Collection[str]) -> list[str]:
    """Return what panels must say of explainers by these names: nothing where they passed, or nobody tried them."""
    if not (evidence / EVIDENCE_FILE).is_file():
        return []
    try:
        verdicts = EvidenceFolder(evidence).evidence.explanations
    except BadInput:
        return [f"{EVIDENCE_FILE} of the version is damaged: what these maps are worth is not known."]
    warnings = []
    for name, verdict in verdicts.items():
        beside_controls, of_noise = verdict.sentences
        if name in shown and verdict.beats_controls is False:
            warnings.append(beside_controls)
        if name in shown and verdict.depends_on_model is False:
            warnings.append(f"{name}: {of_noise}")
    return warnings
