"""A test set of which development has seen every image: no leak-free score, and the reason, up to --json."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.journal import SweepStarted, TrialStarted, WinnerChosen
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import replay
from orchestrator.tuning import finalists
from orchestrator.tuning.finalists import TestData, evaluate_finalist
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.data.cache import digest_file
from trainables.data.split_rows import SplitRow, digest_rows, write_rows


def rows_of(side: str, leak: str) -> list[SplitRow]:
    return [SplitRow(f"{side}{n}.png", n % 2, "MR", f"{side}{n}", side, f"{n}", leak=leak) for n in range(6)]


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finalists, "build_model", lambda *_: torch.nn.Identity())
    monkeypatch.setattr(finalists, "load_weights", lambda *_: None)
    monkeypatch.setattr(
        finalists, "predict_probabilities", lambda model, images, rows: np.tile([[0.7, 0.3], [0.2, 0.8]], (3, 1))
    )
    array = tmp_path / "images.npy"
    np.save(array, np.zeros((6, 8, 8), dtype=np.uint8))

    def run(leak: str):
        development, test = rows_of("validation", ""), rows_of("test", leak)
        write_rows(tmp_path / "development.csv", development)
        write_rows(tmp_path / "test.csv", test)
        setup = TrialSetup(
            development=tmp_path / "development.csv", development_digest=digest_rows(development), arrays={8: array},
            num_classes=2, pretrained=False, epochs=1, metric="auroc", device="cpu", threads=1, trials=tmp_path,
        )  # fmt: skip
        given = TestData(
            rows=tmp_path / "test.csv", rows_digest=digest_rows(test), test_digest="t", arrays={8: array},
            array_digests={8: digest_file(array)}, classes=("a", "b"), ledger=tmp_path / "l", sweep_id="s",
        )  # fmt: skip
        config = TrialConfig(
            trial=0, architecture="resnet_vit", hyperparameters={"image_px": 8}, seed=0, published=False,
            setup=tmp_path / "setup.json",
        )  # fmt: skip
        return evaluate_finalist(config, setup, given, tmp_path / "finalist")

    return run


@pytest.mark.parametrize("leak", ["copy", ""])
def test_no_leak_free_image_means_null_and_the_reason(leak: str, evaluate, started: SweepStarted) -> None:
    evaluated = evaluate(leak)
    trial = TrialStarted(trial=0, architecture="resnet_vit", hyperparameters={}, seed=0, published=False)
    state = replay([started, trial, evaluated, WinnerChosen(trial=0)])
    winner = json.loads(json.dumps(SweepResult(Path("sweep"), state, 1.0).to_json()))["winner"]
    assert winner["test"]["auroc"][0] == 1.0
    if leak:
        assert winner["test_leak_free"] is None
        assert (winner["leak_free_images"], winner["leak_free_reason"]) == (
            0,
            "development has seen every test image",
        )
    else:
        assert winner["test_leak_free"] == winner["test"]
        assert (winner["leak_free_images"], winner["leak_free_reason"]) == (6, "")
