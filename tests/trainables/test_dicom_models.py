"""A packaged model judges a DICOM file as the picture that its training made of it, without this project."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_support import dicom_bytes, head_hu
from packaged_support import write_smoke

from trainables.data.dicom import grey_from_dicom
from trainables.model_card import model_card
from trainables.standalone import Classifier, load_module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_smoke(tmp_path / "classifier", "baseline_cnn")


@pytest.fixture
def head() -> bytes:
    return dicom_bytes(head_hu(np.random.default_rng(0), 48, bleeds=True), modality="CT")


def test_a_dicom_file_is_judged_as_its_picture(folder: Path, head: bytes) -> None:
    classifier: Classifier = load_module(folder / "standalone.py").Classifier(folder)
    picture_HW = grey_from_dicom(head, (40.0, 80.0))
    probs_NK, reasons = classifier.predict([head, picture_HW])
    assert reasons == ["", ""]
    assert np.array_equal(probs_NK[0], probs_NK[1])


def test_the_window_is_the_models_own(folder: Path, head: bytes) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["ct_window_hu"] == [40, 80]
    assert "with pydicom; CT is seen from 0 to 80 HU" in (folder / "MODEL_CARD.md").read_text()
    config["ct_window_hu"] = [0.0, 3000.0]
    (folder / "config.json").write_text(json.dumps(config))
    classifier: Classifier = load_module(folder / "standalone.py").Classifier(folder)
    probs_NK, _ = classifier.predict([head, grey_from_dicom(head, (0.0, 3000.0)), grey_from_dicom(head, (40.0, 80.0))])
    assert np.array_equal(probs_NK[0], probs_NK[1])
    assert not np.array_equal(probs_NK[0], probs_NK[2])
    assert "from -1500 to 1500 HU" in model_card(config)


def test_what_cannot_be_read_is_an_answer_of_its_own(
    folder: Path, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier: Classifier = load_module(folder / "standalone.py").Classifier(folder)
    _, reasons = classifier.predict([head[:700], head])
    assert reasons == ["a DICOM file without an image", ""]
    dicom = sys.modules[classifier._dicom.__name__]
    monkeypatch.setattr(dicom, "find_spec", lambda name: None)
    probs_NK, reasons = classifier.predict([head])
    assert "pip install pydicom python-gdcm" in reasons[0]
    assert np.isnan(probs_NK).all()
