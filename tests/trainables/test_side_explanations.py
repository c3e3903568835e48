"""What a finalist's explanations say of themselves: what a map failed, what is missing, of which images ROAD is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from explain_support import BlobNet
from torch import nn

from trainables import judging
from trainables.catalog import TASKS
from trainables.configs.baseline_cnn import BaselineCNNConfig
from trainables.configs.record import Architecture
from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import Predictions
from trainables.explain import side_explanations
from trainables.explain.explained import Explained
from trainables.explain.explainers import Explainer
from trainables.explain.faithfulness import RoadCurves
from trainables.explain.proving import ProvedExplainer, prove
from trainables.explain.settings import ExplanationSettings, explanation_settings
from trainables.inference import predict_logits

QUICK = replace(explanation_settings(quick=True, seed=0), proved=4, removal_steps=4)
TWO = (Explainer("gradcam", "features.1", "CNN"), Explainer("hirescam", "features.1", "CNN fine"))
BLOB = Architecture("blob", BaselineCNNConfig, "no:build", (), None, "a test", {}, explainers=TWO)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("panels", "class_grid", "proof_figure"):
        monkeypatch.setattr(f"trainables.explain.{name}.save", lambda figure, path: path.touch())


def explain(folder: Path, settings: ExplanationSettings = QUICK) -> dict[str, Any]:
    """Explain four noisy images, two of them taken for the wrong class; return what explanations.json says."""
    images_NMHW = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    rows = [SplitRow(f"{n}.png", n % 2, "MR", f"p{n}", "test", f"{n:064d}") for n in range(4)]
    model = BlobNet().eval()
    predictions = Predictions(predict_logits(model, torch.from_numpy(images_NMHW), torch.arange(4)), rows)
    side_explanations.explain_side(
        folder, TASKS["stroke"], Explained(BLOB, model, images_NMHW), predictions, {}, "stroke", settings
    )
    return json.loads((folder / "explanations.json").read_text())


def _failing(one: ProvedExplainer) -> ProvedExplainer:
    name = one.summary.explainer
    summary = replace(one.summary, beats_controls=False, sentence=f"{name} loses to a spot")
    return replace(one, summary=summary, randomisation=replace(one.randomisation, passed=False, sentence="shows edges"))


def test_what_a_map_failed_is_said_in_every_panel_and_of_the_drawn_one_in_the_grids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[list[str]] = []
    headings: list[str] = []

    def failing(*given: Any) -> Any:
        scores, proved = prove(*given)
        return scores, [_failing(one) for one in proved]

    monkeypatch.setattr(side_explanations, "prove", failing)
    monkeypatch.setattr(
        "trainables.explain.case_panels.draw_panel", lambda path, panel, colormap: notes.append(list(panel.notes))
    )
    monkeypatch.setattr(
        "trainables.explain.class_grid.grid_figure", lambda tiles, classes, heading: headings.append(heading)
    )
    explain(tmp_path)
    said = ["CNN loses to a spot", "CNN: shows edges", "CNN fine loses to a spot", "CNN fine: shows edges"]
    assert len(notes) >= 2 and all(set(said) < set(own) for own in notes)
    assert [heading.partition(";")[0] for heading in headings] == [
        "stroke: random images of each class", "stroke: the surest mistakes of each class"
    ]  # fmt: skip
    assert all(heading.endswith(". CNN loses to a spot. CNN: shows edges") for heading in headings)


@pytest.mark.parametrize(
    ("broken", "name", "missing"),
    [
        ("prove", "proof", "proof.png"),
        ("write_panels", "panels", "cases.csv"),
        ("write_class_grid", "class_grid.png", "class_grid.png"),
    ],
)
def test_a_part_that_fails_is_told_of_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, name: str, missing: str
) -> None:
    def fail(*given: Any) -> None:
        raise ExplanationError("no map\nof this")

    monkeypatch.setattr(side_explanations, broken, fail)
    told = explain(tmp_path)
    assert f"{name}: no map" in told["refused"]
    assert (told["road"] == "ROAD: no image was proved") == (broken == "prove")
    assert set(told["explainers"]) == (set() if broken == "prove" else {"CNN", "CNN fine"})
    parts = {"proof.png", "cases.csv", "class_grid.png"}
    assert {path.name for path in tmp_path.iterdir()} & parts == parts - {missing}


def test_what_was_written_before_explaining_ended_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(folder: Path, *given: Any) -> None:
        folder.mkdir()
        (folder / "channel_gates.csv").write_text("class")
        raise torch.OutOfMemoryError("no room\nfor it")

    monkeypatch.setattr(side_explanations, "explain_side", ends)
    predictions = Predictions(np.zeros((0, 2)), [])
    about = judging.Explaining("baseline_cnn", QUICK, lambda path: None)
    folder, images_NMHW = tmp_path / "explanations", np.zeros((0, 1, 128, 128), np.uint8)
    judging._explain(folder, TASKS["stroke"], nn.Identity(), "stroke", images_NMHW, predictions, about)
    assert json.loads((folder / "explanations.json").read_text()) == {"explainers": {}, "refused": ["no room"]}
    assert (folder / "channel_gates.csv").is_file()


@pytest.mark.parametrize(
    ("most_road_px", "with_road", "words"),
    [
        (0, 0, "ROAD: left out, as it takes seconds a map"),
        (31, 2, "ROAD: of 2 of 4 proved images, as it takes seconds a map of this size"),
        (32, 4, "ROAD: of 4 of 4 proved images"),
    ],
)
def test_it_is_said_of_which_images_road_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_road_px: int, with_road: int, words: str
) -> None:
    said: list[str] = []
    half_F = np.array([0.5])
    monkeypatch.setattr("trainables.explain.proof.road_curves", lambda *given: RoadCurves((10,), half_F, half_F))
    monkeypatch.setattr(side_explanations, "draw_proof", lambda path, summaries, title, further: said.extend(further))
    told = explain(tmp_path, replace(QUICK, most_road_px=most_road_px, tested=2))
    assert told["road"] == words and said[-1] == f"{words}."
    means = told["explainers"]["CNN"]["summary"]["all_images"]
    assert [means[source]["road_morf"]["images"] for source in ("map", "random", "centre")] == [with_road] * 3


def test_in_full_more_is_shown_and_every_size_has_road() -> None:
    full, quick = (explanation_settings(is_quick, 0) for is_quick in (False, True))
    assert (full.right_of_each_kind, quick.right_of_each_kind) == (2, 1)
    assert full.most_road_px > 0 and full.tested == 4 and quick.most_road_px == 0
