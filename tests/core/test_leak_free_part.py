"""A test set of which development has seen every image: no leak-free score, and the reason, up to --json."""

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.journal import SweepStarted, TrialSuggested, WinnerChosen
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import replay
from orchestrator.tuning.finalists import for_journal
from trainables.catalog import TASKS
from trainables.data.split_rows import SplitRow
from trainables.evaluation.evaluation import evaluate
from trainables.evaluation.predictions import Predictions


def predicted(side: str, leak: str) -> Predictions:
    rows = [SplitRow(f"{side}{n}.png", n % 2, "MR", f"{side}{n}", side, f"{n}", leak=leak) for n in range(6)]
    return Predictions(np.tile([[0.7, 0.3], [0.2, 0.8]], (3, 1)), rows)


@pytest.mark.parametrize("leak", ["copy", ""])
def test_no_leak_free_image_means_null_and_the_reason(leak: str, started: SweepStarted) -> None:
    evaluated = for_journal(0, evaluate(TASKS["stroke"], predicted("validation", ""), predicted("test", leak)), {})
    trial = TrialSuggested(trial=0, architecture="resnet_vit", hyperparameters={}, seed=0, published=False)
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
