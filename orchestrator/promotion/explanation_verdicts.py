"""What a version's evidence says of its explainers: which of them do not show what the model looks at."""

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

EXPLANATIONS_FILE = "explanations.json"


class _Proof(BaseModel):
    model_config = ConfigDict(frozen=True)

    beats_controls: bool | None
    sentence: str


class _Randomisation(BaseModel):
    model_config = ConfigDict(frozen=True)

    passed: bool | None
    sentence: str


class _Verdict(BaseModel):
    model_config = ConfigDict(frozen=True)

    summary: _Proof
    randomisation: _Randomisation


class _Verdicts(BaseModel):
    model_config = ConfigDict(frozen=True)

    explainers: dict[str, _Verdict]


def explainer_warnings(evidence: Path, shown: Collection[str]) -> list[str]:
    """Return what panels must say of explainers by these names: nothing where they passed, or nobody tried them."""
    path = evidence / EXPLANATIONS_FILE
    if not path.is_file():
        return []
    try:
        verdicts = _Verdicts.model_validate_json(path.read_bytes()).explainers
    except (OSError, ValidationError):
        return [f"{EXPLANATIONS_FILE} of the version's evidence is damaged: what these maps are worth is not known."]
    warnings = []
    for name, verdict in verdicts.items():
        if name in shown and verdict.summary.beats_controls is False:
            warnings.append(verdict.summary.sentence)
        if name in shown and verdict.randomisation.passed is False:
            warnings.append(f"{name}: {verdict.randomisation.sentence}")
    return warnings
