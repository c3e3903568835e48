"""A packaged classifier in other formats: the same probabilities for any number of cases, and what is refused."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from packaged_support import noise, write_smoke, write_two_images

from trainables.errors import ExportError
from trainables.exporting import ExportFormat, export_classifier
from trainables.standalone import Classifier

TOLERANCE = 1e-5


def run_exported(folder: Path, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
    if (folder / "model.pt2").exists():
        return torch.export.load(folder / "model.pt2").module()(*inputs).detach().numpy()
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return session.run(None, {name: x_B1HW.numpy() for name, x_B1HW in zip(names, inputs, strict=True)})[0]


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
@pytest.mark.parametrize("name", ["resnet_vit", "baseline_cnn"])
def test_an_export_gives_the_same_probabilities(tmp_path: Path, name: str, kind: ExportFormat) -> None:
    torch.set_num_threads(1)
    classifier = write_smoke(tmp_path / "classifier", name)
    exported = tmp_path / "exported"
    exported.mkdir()
    difference = export_classifier(classifier, exported, kind)
    assert difference < TOLERANCE
    packaged = Classifier(classifier)
    for cases in ([noise(1)], [noise(seed) for seed in range(5)]):
        expected_NK, _ = packaged.predict(cases)
        assert np.allclose(run_exported(exported, packaged.tensors(cases)), expected_NK, atol=TOLERANCE)
    about = json.loads((exported / "config.json").read_text())
    assert (about["classes"], about["inputs"], about["side_px"]) == (["normal", "stroke"], ["image"], 32)
    assert about["max_probability_difference"] == difference
    assert {path.name for path in exported.iterdir()} == {f"model.{kind}", "config.json", "dicom.py", "images.py"}


def test_two_images_per_case_are_two_inputs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = write_two_images(tmp_path / "classifier", monkeypatch)
    assert export_classifier(classifier, tmp_path, "pt2") < TOLERANCE
    case = [[np.full((8, 8), 255, np.uint8), np.zeros((8, 8), np.uint8)]]
    packaged = Classifier(classifier)
    probs_BK = run_exported(tmp_path, packaged.tensors(case))
    assert np.allclose(probs_BK, packaged.predict(case)[0], atol=TOLERANCE)
    assert probs_BK[0, 0] > 0.9


def test_a_difference_that_an_export_makes_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = write_two_images(tmp_path / "classifier", monkeypatch)
    load = torch.export.load

    def another(path: Path) -> torch.export.ExportedProgram:
        program = load(path)
        program.state_dict["model.scale"].data.fill_(3.9)
        return program

    monkeypatch.setattr("torch.export.load", another)
    assert export_classifier(classifier, tmp_path, "pt2") > 1e-4


def test_what_cannot_be_exported_says_why_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = write_two_images(tmp_path / "classifier", monkeypatch)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name.startswith("onnx") else find_spec(name))
    with pytest.raises(ExportError, match=r"ONNX needs onnx, onnxscript, onnxruntime: pip install .*\[onnx\]"):
        export_classifier(classifier, tmp_path, "onnx")
    config = json.loads((classifier / "config.json").read_text())
    (classifier / "config.json").write_text(json.dumps({"classes": config["classes"]}))
    with pytest.raises(ExportError, match="registered before models could be exported; take --format mlflow"):
        export_classifier(classifier, tmp_path, "pt2")
    code = (classifier / "architecture.py").read_text()
    forks = "        if ct_B1HW.sum() > 3:\n            ct_B1HW = -ct_B1HW\n        return "
    (classifier / "architecture.py").write_text(code.replace("        return ", forks, 1))
    (classifier / "config.json").write_text(json.dumps(config))
    with pytest.raises(ExportError, match=r"^toy cannot be exported as pt2 \(.*\)$"):
        export_classifier(classifier, tmp_path, "pt2")
