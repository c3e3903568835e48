"""What a winner's evidence takes over from its explanations: every file's digest, verdicts, and that there is none."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.promotion.bundle import _explanations, _further_digests
from orchestrator.promotion.evidence import ExplainerVerdict

CNN = {
    "method": "gradcam",
    "summary": {"beats_controls": True, "sentence": "beats"},
    "randomisation": {"passed": None, "sentence": "coarse"},
}


def _told(explainers: dict[str, Any], refused: list[str], failed: list[str]) -> str:
    return json.dumps({"explainers": explainers, "refused": refused, "failed": failed})


def test_files_in_folders_of_explanations_have_digests_too(tmp_path: Path) -> None:
    (tmp_path / "explanations" / "cross_attention").mkdir(parents=True)
    names = ["model_card.md", "explanations/maps.npz", "explanations/cross_attention/cross_maps.npz"]
    for name in names:
        (tmp_path / name).write_text(name)
    assert _further_digests(tmp_path) == {name: hashlib.sha256(name.encode()).hexdigest() for name in names}


@pytest.mark.parametrize(
    ("text", "verdicts", "reason", "failed"),
    [
        (_told({"CNN": CNN}, ["ViT: too small"], ["panels: out of memory"]), ["CNN"], "", False),
        (_told({}, ["CNN: one cell", "ViT: no"], []), [], "CNN: one cell; ViT: no", False),
        (_told({}, ["ViT: no"], ["proof: out of memory"]), [], "proof: out of memory; ViT: no", True),
        (_told({}, [], []), [], "", False),  # nothing was there to be tried
        ('{"explainers": {}, "refused": ["CNN: one cell"]}', [], "CNN: one cell", True),  # of an older evaluation
        ('{"explainers"', [], "explanations.json is gone or damaged", True),
        ('{"explainers": {"CNN": {}}}', [], "explanations.json is gone or damaged", True),
        ("[]", [], "explanations.json is gone or damaged", True),
        (None, [], "explanations.json is gone or damaged", True),
    ],
)
def test_that_explaining_gave_nothing_is_kept_with_its_reason(
    tmp_path: Path, text: str | None, verdicts: list[str], reason: str, failed: bool
) -> None:
    if text is not None:
        (tmp_path / "explanations.json").write_text(text)
    found, *told = _explanations(tmp_path)
    assert (list(found), *told) == (verdicts, reason, failed)
    assert all(isinstance(one, ExplainerVerdict) for one in found.values())


def test_where_nothing_was_to_be_explained_no_reason_is_kept(tmp_path: Path) -> None:
    assert _explanations(tmp_path / "explanations") == ({}, "", False)
