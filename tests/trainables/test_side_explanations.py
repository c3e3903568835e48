"""What a finalist's explanations say of themselves: what a map failed, what is missing, of which images ROAD is."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from explain_support import BlobNet
from torch import nn

from orchestrator.version_grids import write_version_grids
from trainables import judging
from trainables.catalog import TASKS
from trainables.configs.baseline_cnn import BaselineCNNConfig
from trainables.configs.record import Architecture
from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError, OneCell
from trainables.evaluation.predictions import Predictions
from trainables.explain import case_panels, explained, side_explanations
from trainables.explain.engine import Explanation
from trainables.explain.explained import Explained, explain_cases, reason_of
from trainables.explain.explainers import BranchPair, CrossAttention, Explainer
from trainables.explain.faithfulness import RoadCurves
from trainables.explain.packaged import Answers
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


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return what is said below each panel, once they are there."""
    said: list[list[str]] = []
    monkeypatch.setattr(case_panels, "draw_panel", lambda path, panel, colormap: said.append(list(panel.notes)))
    return said


@pytest.fixture
def headings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is said above each grid, once they are there."""
    said: list[str] = []
    monkeypatch.setattr(
        "trainables.explain.class_grid.grid_figure", lambda tiles, classes, heading: said.append(heading)
    )
    return said


def explain(folder: Path, settings: ExplanationSettings = QUICK, record: Architecture = BLOB) -> dict[str, Any]:
    """Explain the cases of `blob_side`; return what explanations.json says."""
    model, images_NMHW, predictions = blob_side()
    side_explanations.explain_side(
        folder, TASKS["stroke"], Explained(record, model, images_NMHW), predictions, {}, "stroke", settings
    )
    return json.loads((folder / "explanations.json").read_text())


def blob_side() -> tuple[nn.Module, np.ndarray, Predictions]:
    """Return a model, four noisy images, and its answers: two of them are wrong."""
    images_NMHW = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    rows = [SplitRow(f"{n}.png", n % 2, "MR", f"p{n}", "test", f"{n:064d}") for n in range(4)]
    model = BlobNet().eval()
    return model, images_NMHW, Predictions(predict_logits(model, torch.from_numpy(images_NMHW), torch.arange(4)), rows)


def _failing(one: ProvedExplainer) -> ProvedExplainer:
    name = one.summary.explainer
    summary = replace(one.summary, beats_controls=False, sentence=f"{name} loses to a spot")
    return replace(one, summary=summary, randomisation=replace(one.randomisation, passed=False, sentence="shows edges"))


def test_what_a_map_failed_is_said_in_every_panel_and_of_the_drawn_one_in_the_grids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[list[str]], headings: list[str]
) -> None:
    def failing(*given: Any) -> Any:
        scores, proved, failed = prove(*given)
        return scores, [_failing(one) for one in proved], failed

    monkeypatch.setattr(side_explanations, "prove", failing)
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
    assert (told["refused"], {*told["failed"]} >= {f"{name}: no map"}) == ([], True)
    assert (told["road"] == "ROAD: no image was proved") == (broken == "prove")
    assert set(told["explainers"]) == (set() if broken == "prove" else {"CNN", "CNN fine"})
    parts = {"proof.png", "cases.csv", "class_grid.png"}
    assert {path.name for path in tmp_path.iterdir()} & parts == parts - {missing}


def _without_room_for_cnn(model: nn.Module, x_BMHW: torch.Tensor, targets: Any, explainer: Explainer) -> Explanation:
    if explainer.name == "CNN":
        raise torch.OutOfMemoryError("CUDA out of memory. Process 123 has 9 GiB in use")
    return explain_cases(model, x_BMHW, targets, explainer)


def _with_room_for_one_case(model: nn.Module, x_BMHW: torch.Tensor, targets: Any, explainer: Explainer) -> Explanation:
    return (_without_room_for_cnn if len(x_BMHW) > 1 else explain_cases)(model, x_BMHW, targets, explainer)


def test_an_explainer_that_the_device_has_no_room_for_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[list[str]], headings: list[str]
) -> None:
    monkeypatch.setattr(explained, "explain_cases", _without_room_for_cnn)
    told = explain(tmp_path)
    assert (told["failed"], [*told["explainers"]]) == (["CNN: out of memory"], ["CNN fine"])
    assert len(notes) >= 2 and all("Not shown: CNN: out of memory" in own for own in notes)
    assert len(headings) == 2 and all(heading.endswith(". Not shown: CNN: out of memory") for heading in headings)


@pytest.mark.usefixtures("notes", "headings")
def test_images_that_are_too_small_for_a_layer_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_small(model: nn.Module, x_BMHW: torch.Tensor, targets: Any, explainer: Explainer) -> Explanation:
        if explainer.name == "CNN":
            raise OneCell("one cell")
        return explain_cases(model, x_BMHW, targets, explainer)

    monkeypatch.setattr(explained, "explain_cases", too_small)
    told = explain(tmp_path)
    assert (told["refused"], told["failed"], [*told["explainers"]]) == (["CNN: one cell"], [], ["CNN fine"])


@pytest.mark.parametrize(
    ("module", "explains"), [("explained", _with_room_for_one_case), ("proving", _without_room_for_cnn)]
)
def test_an_explainer_too_heavy_to_be_proved_costs_no_proof_of_another_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[list[str]], module: str, explains: Any
) -> None:
    monkeypatch.setattr(f"trainables.explain.{module}.explain_cases", explains)
    monkeypatch.setattr(case_panels, "BATCH", 1)
    told = explain(tmp_path)
    assert "proof of CNN: out of memory" in told["failed"] and [*told["explainers"]] == ["CNN fine"]
    assert notes and not any("Not shown" in note for own in notes for note in own), "the proof is no map"


@pytest.mark.usefixtures("notes", "headings")
def test_gates_that_the_device_has_no_room_for_cost_no_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("trainables.explain.channel_gates.channel_gates", fail)
    told = explain(tmp_path, record=replace(BLOB, channel_gates="features"))
    assert (told["failed"], {*told["explainers"]}) == (["channel gates: out of memory"], {"CNN", "CNN fine"})


LOST = replace(BLOB, explainers=(Explainer("gradcam", "gone", "Lost"), *TWO, Explainer("gradcam", "gone", "Later")))


def test_a_grid_says_why_it_draws_another_map_than_the_records_first(tmp_path: Path, headings: list[str]) -> None:
    told = explain(tmp_path, record=LOST)
    assert [reason.partition(":")[0] for reason in told["failed"]] == ["Lost", "Later"] and told["refused"] == []
    assert headings and all(f". Not shown: {told['failed'][0]}".rstrip(".") in heading for heading in headings)
    assert not any("Later" in heading for heading in headings), "no grid would have shown that"


def test_a_grid_of_a_version_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headings: list[str]) -> None:
    model, images_NMHW, predictions = blob_side()

    def answers(contents: list[list[bytes]]) -> Answers:
        return Answers(images_NMHW[: len(contents)], predictions.probs_NK[: len(contents)], [""] * len(contents))

    packaged = SimpleNamespace(
        classes=["normal", "stroke"], answers=answers, explained=lambda own_NMHW: Explained(LOST, model, own_NMHW)
    )
    monkeypatch.setattr("trainables.explain.packaged.load_packaged", lambda folder: packaged)
    about = tmp_path, predictions, lambda path: b"", 1, "stroke version 1", lambda names: [f"Of {', '.join(names)}."]
    assert write_version_grids(tmp_path / "explanations", *about) == ""
    assert headings and all(". Of CNN. Not shown: Lost: no layer 'gone'" in heading for heading in headings)


@pytest.mark.usefixtures("notes", "headings")
def test_attention_between_images_that_is_not_where_the_record_says_is_a_part_that_failed(tmp_path: Path) -> None:
    gone = ("gone.0", "gone.1")
    told = explain(tmp_path, record=replace(BLOB, cross=CrossAttention(gone, gone, gone)))
    (reason,) = told["failed"]
    assert reason.startswith("attention between images: ") and reason.count("attention between images: ") == 1
    assert told["refused"] == [] and {*told["explainers"]} == {"CNN", "CNN fine"}


def test_a_fault_that_says_nothing_is_told_by_its_type() -> None:
    assert (reason_of(ExplanationError()), reason_of(ExplanationError("one\ntwo"))) == ("ExplanationError", "one")


@pytest.mark.usefixtures("headings")
def test_panels_that_are_there_have_their_table_and_maps_where_others_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Path] = []

    def draws_two(path: Path, *given: Any) -> None:
        if len(drawn) == 2:
            raise torch.OutOfMemoryError("no room")
        drawn.append(path)

    monkeypatch.setattr(case_panels, "draw_panel", draws_two)
    assert "panels: out of memory" in explain(tmp_path)["failed"]
    with (tmp_path / "cases.csv").open() as file:
        assert len([*csv.DictReader(file)]) == len(drawn) == 2
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as maps:
        assert {f"panel_{name.partition('/')[0]}.png" for name in maps.files} == {path.name for path in drawn}


@pytest.mark.usefixtures("headings")
def test_branches_that_cannot_be_compared_cost_no_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[list[str]]
) -> None:
    def fail(*given: Any) -> None:
        raise ExplanationError("a branch runs twice")

    monkeypatch.setattr(case_panels, "branch_shares", fail)
    pair = BranchPair("CNN", "CNN fine", ("features", "head"))
    assert explain(tmp_path, record=replace(BLOB, pair=pair))["failed"] == []
    assert all(
        own[0].endswith("What each branch gives to the answer is not known: a branch runs twice.") for own in notes
    )
    with (tmp_path / "cases.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == len(notes) >= 2 and {row["shapley_CNN"] for row in rows} == {""}
    assert all(row["rank_correlation"] for row in rows)


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
    assert json.loads((folder / "explanations.json").read_text()) == {
        "explainers": {}, "refused": [], "failed": ["out of memory"]
    }  # fmt: skip
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
