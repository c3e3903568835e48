"""What a version's evidence says of its explainers: which of them do not show what the model looks at."""

from collections.abc import Collection
from pathlib import Path

from orchestrator.errors import BadInput
from orchestrator.promotion.evidence import EVIDENCE_FILE, EvidenceFolder
from trainables.explain.map_warnings import failed_tests


def explainer_warnings(evidence: Path, shown: Collection[str]) -> list[str]:
    """Return what panels must say of explainers by these names: nothing where they passed, or nobody tried them."""
    if not (evidence / EVIDENCE_FILE).is_file():
        return []
    try:
        verdicts = EvidenceFolder(evidence).evidence.explanations
    except BadInput:
        return [f"{EVIDENCE_FILE} of the version is damaged: what these maps are worth is not known."]
    warnings = []
    for name in [one for one in verdicts if one in shown]:
        verdict = verdicts[name]
        beside_controls, of_noise = verdict.sentences
        told = name, verdict.beats_controls, beside_controls, verdict.depends_on_model, of_noise
        warnings += failed_tests(*told)
    return warnings
