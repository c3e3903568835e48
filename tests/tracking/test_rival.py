"""A champion that was tested on other images judges those of its challenger."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from evidence_support import Model, TestSet, write_evidence
from mlflow import MlflowClient
from packaged_support import register

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.promotion.evidence import EvidenceFolder
from orchestrator.test_ledger import PROMOTE, count_in_words, read_ledger
from orchestrator.tracking.registry import find_model, load_model, predict
from orchestrator.tracking.rival import HeldOutImages
from trainables.data.phantom.stroke import write_stroke_phantom
from trainables.data.records import image_files
from trainables.evaluation.predictions import case_digest

HELD_OUT = 6


@pytest.fixture(scope="module")
def client(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """The champion, whose sweep `s` is known by its table of images."""
    return register(store_home, tmp_path_factory.mktemp("registered"))[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    folder.mkdir()
    write_stroke_phantom(folder, train_patients=8, test_patients=4, slices_per_modality=1, image_px=48)
    return folder


@pytest.fixture
def held_out(data: Path) -> list[Path]:
    """Some images, the last in the data set first."""
    return image_files(data / "deep")[::-1][:HELD_OUT]


@pytest.fixture
def challenger(tmp_path: Path, held_out: list[Path]) -> EvidenceFolder:
    """Evidence whose table of predictions names those images."""
    folder = write_evidence(tmp_path / "evidence", Model(), TestSet(patients=HELD_OUT))
    table = folder.path / "predictions_test.csv"
    text = table.read_text()
    for row, image in zip(folder.test.rows, held_out, strict=True):
        text = text.replace(row.sha256, case_digest([sha256(image)]))
    table.write_text(text)
    return EvidenceFolder(folder.path)


def sha256(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_the_champion_judges_the_challengers_images_in_their_order(
    store_home: Home, client: MlflowClient, data: Path, held_out: list[Path], challenger: EvidenceFolder
) -> None:
    sweep = store_home.sweeps / "s"
    sweep.mkdir(parents=True, exist_ok=True)
    (sweep / "development.csv").write_text(f"path,sha256\nx,{sha256(held_out[2])}\n")
    store_home.test_ledger.unlink(missing_ok=True)
    answers = HeldOutImages(store_home, data, "--data").judge(client)("1", challenger)
    expected = predict(load_model(find_model(client, "stroke")), [image.read_bytes() for image in held_out])
    assert np.allclose(answers.probs_NK, expected[["p_normal", "p_stroke"]].to_numpy(), atol=1e-6)
    assert np.ptp(answers.probs_NK[:, 0]) > 1e-5, "images that all look alike would prove no order"
    assert answers.seen == 1
    (read,) = read_ledger(store_home.test_ledger, challenger.evidence.test_digest)
    assert (read.who, read.model, read.images, read.purpose) == (PROMOTE, "stroke v1", HELD_OUT, "evaluation")
    assert count_in_words([read]).startswith("1 evaluation by promote, ")


def test_images_that_are_not_there_are_counted(
    store_home: Home, client: MlflowClient, tmp_path: Path, data: Path, challenger: EvidenceFolder
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_stroke_phantom(other, train_patients=8, test_patients=4, slices_per_modality=1, image_px=48, seed=9)
    store_home.test_ledger.unlink(missing_ok=True)
    with pytest.raises(BadInput, match=r"^--data: 6 of the 6 held-out images .* are not in other; name the folder"):
        HeldOutImages(store_home, other, "--data").judge(client)("1", challenger)
    assert not read_ledger(store_home.test_ledger, challenger.evidence.test_digest), "nothing was judged"
