from pathlib import Path

import cv2
import numpy as np
import pytest
from tests_support import with_store

from orchestrator.home import Home

FIGURE = cv2.imencode(".png", np.full((8, 8, 3), 200, dtype=np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def store_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One embedded store for the module."""
    return Home(with_store(tmp_path_factory.mktemp("home")))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for number in range(3):
        folder = tmp_path / "trials" / f"{number:04d}"
        folder.mkdir(parents=True)
        probs_NK = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
        np.savez(folder / "best_validation.npz", probs_NK=probs_NK, labels_N=np.array([0, 1]), epoch=2)
    return tmp_path


@pytest.fixture(autouse=True)
def small_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in one test only: it takes most of their time."""
    if request.node.name != "test_a_journal_becomes_runs_once":
        for name in ("draw_confusion_matrix", "draw_training_curves"):
            monkeypatch.setattr(
                f"orchestrator.tracking.trial_figures.{name}", lambda path, *about: path.write_bytes(FIGURE)
            )
