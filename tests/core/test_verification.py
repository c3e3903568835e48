import json
from pathlib import Path

import pytest
from evidence_support import Model, TestSet, draw_predictions, write_evidence

from orchestrator.promotion.evidence import EVIDENCE_FILE, digest_of
from orchestrator.promotion.verification import verify
from trainables.evaluation.predictions import read_predictions, write_predictions


def failed(folder, digest: str) -> dict[str, str]:
    return {check.name: check.value for check in verify(folder, digest) if not check.passed}


def test_every_number_is_reckoned_again(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model(), TestSet(patients=40, per_patient=3))
    digest = digest_of(folder.path / EVIDENCE_FILE)
    checks = verify(folder, digest)
    assert [check.name for check in checks] == [
        "evidence.json", "predictions_validation.csv", "predictions_test.csv", "numbers",
    ]  # fmt: skip
    assert all(check.passed for check in checks)
    assert int(checks[-1].value.split()[0]) > 300


def test_a_changed_prediction_is_found_even_where_its_digest_was_changed_too(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model())
    digest = digest_of(folder.path / EVIDENCE_FILE)
    table = folder.path / "predictions_test.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace(",normal,", ",stroke,", 1)  # the true class of one image
    table.write_text("\n".join(lines) + "\n")
    found = failed(write_again(folder), digest)
    assert set(found) == {"predictions_test.csv", "numbers"}
    assert "test.overall.metrics.auroc" in found["numbers"]
    evidence = json.loads((folder.path / EVIDENCE_FILE).read_text())
    evidence["predictions_sha256"]["test"] = digest_of(table)
    (folder.path / EVIDENCE_FILE).write_text(json.dumps(evidence))
    assert set(failed(write_again(folder), digest)) == {"evidence.json", "numbers"}


def test_a_better_number_in_the_evidence_is_found(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model())
    path = folder.path / EVIDENCE_FILE
    evidence = json.loads(path.read_text())
    evidence["evaluation"]["test"]["overall"]["metrics"]["auroc"] += 0.01
    path.write_text(json.dumps(evidence))
    assert "test.overall.metrics.auroc" in failed(write_again(folder), digest_of(path))["numbers"]


def test_what_only_images_tell_is_left_to_the_digest(tmp_path: Path) -> None:
    """The score of pairs with partners shuffled is in no table."""
    folder = write_evidence(tmp_path / "e", Model())
    path = folder.path / EVIDENCE_FILE
    evidence = json.loads(path.read_text())
    evidence["evaluation"]["repairing"] = {"shuffles": 20, "metrics": {"auroc": [0.5, 0.4, 0.6]}}
    path.write_text(json.dumps(evidence))
    checks = verify(write_again(folder), digest_of(path))
    assert all(check.passed for check in checks), checks
    assert checks[-1].value.endswith(" reckoned again (not those with partners shuffled)")


@pytest.mark.parametrize("words", [("true", "false"), ("1", "2")])
def test_classes_whose_names_look_like_something_else_are_read_again(tmp_path: Path, words: tuple[str, str]) -> None:
    drawn = draw_predictions(Model(), TestSet(patients=4), "test")
    write_predictions(tmp_path / "table.csv", drawn, words)
    again = read_predictions(tmp_path / "table.csv", words, "test")
    assert again.labels_N.tolist() == drawn.labels_N.tolist()


def test_a_missing_or_damaged_bundle_is_one_line(tmp_path: Path) -> None:
    folder = write_evidence(tmp_path / "e", Model())
    (folder.path / "predictions_test.csv").unlink()
    found = failed(write_again(folder), digest_of(folder.path / EVIDENCE_FILE))
    assert found["predictions_test.csv"] == "is missing"
    assert found["numbers"].startswith("predictions_test.csv: no table of predictions")
    (folder.path / EVIDENCE_FILE).write_text("{}")
    assert failed(write_again(folder), "")["evidence.json"].startswith("evidence.json: no evidence of a model")


@pytest.mark.parametrize(
    ("old", "new"), [('"severity": []', '"severity": ["stroke"]'), ('"auroc": 0', '"auroc": NaN, "x": 0')]
)
def test_evidence_of_a_task_or_number_that_cannot_be_is_no_traceback(tmp_path: Path, old: str, new: str) -> None:
    folder = write_evidence(tmp_path / "e", Model())
    path = folder.path / EVIDENCE_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert failed(write_again(folder), digest_of(path))


@pytest.mark.parametrize("number", ["nan", "inf", ""])
def test_a_logit_that_is_no_number_is_found(tmp_path: Path, number: str) -> None:
    folder = write_evidence(tmp_path / "e", Model())
    table = folder.path / "predictions_test.csv"
    cells = table.read_text().splitlines()[1].split(",")
    table.write_text(table.read_text().replace(f",{cells[3]},{cells[4]},", f",{number},{cells[4]},", 1))
    assert "no table of predictions" in failed(write_again(folder), "")["numbers"]


def write_again(folder):
    """Return the same bundle, read anew."""
    return type(folder)(folder.path)
