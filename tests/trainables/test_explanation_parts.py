"""Which cases are explained, what two branches give to an answer, and how panels and proof look."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from figure_support import check_readable
from torch import nn

from trainables.catalog import ARCHITECTURES, TASKS, default_hyperparameters
from trainables.data.split_rows import SplitRow
from trainables.errors import ExplanationError
from trainables.evaluation.predictions import Predictions, case_digest
from trainables.explain.cases import proved_cases, sanity_cases, shown_cases
from trainables.explain.components import branch_shares, map_agreement
from trainables.explain.explained import Explained
from trainables.explain.panels import Panel, _views, panel_figure
from trainables.explain.proof_figure import proof_figure
from trainables.explain.proving import prove
from trainables.explain.settings import explanation_settings
from trainables.explain.side_explanations import explain_side
from trainables.inference import predict_logits
from trainables.models import build_model

SIDE_PX = 64
QUICK = explanation_settings(quick=True, seed=0)


class TwoBranches(nn.Module):
    """The logit of class 1 is 2 x the mean of the image's left half + 5 x that of its right half."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = Half(slice(0, 4)), Half(slice(4, 8))
        self.weight = nn.Parameter(torch.tensor([2.0, 5.0]))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        both_B2 = torch.cat([self.left(x_BCHW), self.right(x_BCHW)], dim=1)
        score_B1 = (both_B2 * self.weight).sum(dim=1, keepdim=True)
        return torch.cat([torch.zeros_like(score_B1), score_B1], dim=1)


class Half(nn.Module):
    def __init__(self, columns: slice) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return x_BCHW[:, :, :, self.columns].mean(dim=(2, 3))


def test_the_parts_of_both_branches_are_exact_where_the_answer_is_their_sum() -> None:
    images = torch.zeros(2, 1, 8, 8)
    images[0, :, :, :4], images[0, :, :, 4:] = 1.0, 0.5
    reference = torch.full((3, 1, 8, 8), 0.25)
    model = TwoBranches().train()
    first, second = branch_shares(model, images, [1, 1], reference, ("left", "right"))
    assert first.shapley == pytest.approx((2 * 0.75, 5 * 0.25))
    assert first.above_baseline == pytest.approx(sum(first.shapley))
    assert first.norm_share == pytest.approx(1 / 1.5)
    assert second.shapley == pytest.approx((2 * -0.25, 5 * -0.25)), "below the reference both speak against it"
    assert branch_shares(model, images, [0, 0], reference, ("left", "right"))[0].shapley == (0.0, 0.0)
    assert model.training and not model.left._forward_hooks


class AddedInPlace(TwoBranches):
    """The same answer, the right half's part written over that of the left."""

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        score_B1 = self.left(x_BCHW)
        score_B1 *= self.weight[0]
        score_B1 += self.weight[1] * self.right(x_BCHW)
        return torch.cat([torch.zeros_like(score_B1), score_B1], dim=1)


def test_branches_that_are_added_in_place_have_the_same_shares() -> None:
    images, reference = torch.rand(2, 1, 8, 8), torch.full((3, 1, 8, 8), 0.25)
    plain, in_place = (
        branch_shares(model, images, [1, 1], reference, ("left", "right")) for model in (TwoBranches(), AddedInPlace())
    )
    for one, other in zip(plain, in_place, strict=True):
        assert other.shapley == pytest.approx(one.shapley, abs=1e-6)
        assert other.norm_share == pytest.approx(one.norm_share)


def test_branches_without_a_mean_are_refused_in_one_line() -> None:
    class Whole(Half):
        def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
            return super().forward(x_BCHW).round().long()

    model = TwoBranches()
    model.left = Whole(slice(0, 4))
    with pytest.raises(ExplanationError, match=r"^branches left and right cannot be compared \(.*\)$"):
        branch_shares(model, torch.zeros(1, 1, 8, 8), [1], torch.zeros(1, 1, 8, 8), ("left", "right"))


def test_a_branch_that_is_not_called_is_refused() -> None:
    class Unused(TwoBranches):
        def __init__(self) -> None:
            super().__init__()
            self.other = nn.Identity()

    with pytest.raises(ExplanationError, match="is called 0 times in a pass, not once"):
        branch_shares(Unused(), torch.zeros(1, 1, 8, 8), [1], torch.zeros(1, 1, 8, 8), ("left", "other"))


def test_maps_agree_within_the_head_only() -> None:
    rng = np.random.default_rng(0)
    head_HW = np.zeros((8, 8), bool)
    head_HW[2:6, 2:6] = True
    first, second = (rng.random((8, 8)).astype(np.float32) + 1 for _ in range(2))
    assert map_agreement(first, first, head_HW).rank_correlation == pytest.approx(1)
    assert map_agreement(first, first * 3, head_HW).top_overlap == 1
    first[~head_HW] = second[~head_HW] = 0.0
    apart = map_agreement(first, second, head_HW).rank_correlation
    assert apart is not None and abs(apart) < 0.6 < map_agreement(first, second, None).rank_correlation
    assert map_agreement(first, np.zeros((8, 8), np.float32), None).rank_correlation is None


def test_pixels_of_equal_evidence_share_the_places_among_the_brightest() -> None:
    one, other = np.zeros((10, 10), np.float32), np.zeros((10, 10), np.float32)
    one[0, 0], other[9, 9] = 1, 1
    apart = map_agreement(one, other, None).top_overlap
    assert apart == pytest.approx((98 * (19 / 99) ** 2 + 2 * 19 / 99) / 20), "where both are 0, chance alone"
    assert map_agreement(one, one, None).top_overlap == pytest.approx((1 + 99 * (19 / 99) ** 2) / 20)


def rows_of(*about: tuple[int, str, str]) -> list[SplitRow]:
    return [
        SplitRow(path=f"{n}.png", label=label, modality=modality, group=group, side="test", sha256=f"{n:064d}")
        for n, (label, modality, group) in enumerate(about)
    ]


def test_typical_right_ones_of_each_kind_come_first_then_the_surest_mistakes() -> None:
    rows = rows_of(*[(0, "CT", "a")] * 3, (1, "CT", "b"), (1, "MR", "c"), (1, "MR", "d"), (0, "MR", "e"))
    probs_NK = np.array([[p, 1 - p] for p in (0.6, 0.99, 0.8, 0.1, 0.3, 0.95, 0.4)])
    one = shown_cases(probs_NK, rows, mistakes=1, of_a_kind=1)
    assert one == [2, 3, 4, 5], "0.8 is the median of three, 5 the surest mistake"
    assert shown_cases(probs_NK, rows, mistakes=5, of_a_kind=1) == [2, 3, 4, 5, 6]
    assert shown_cases(probs_NK, rows, mistakes=1, of_a_kind=2) == [0, 2, 3, 4, 5], "two of the kind that has three"


def test_proof_takes_lesions_and_many_patients_first_whatever_was_predicted() -> None:
    rows = rows_of(*[(1, "CT", f"p{n // 4}") for n in range(24)])
    has_mask = [n % 2 == 0 for n in range(24)]
    chosen = proved_cases(rows, has_mask, seed=0, most=6)
    assert all(has_mask[n] for n in chosen) and len({rows[n].group for n in chosen}) >= 4
    assert chosen == sorted(chosen) == proved_cases(rows, has_mask, seed=0, most=6)
    assert len(proved_cases(rows, has_mask, seed=0, most=100)) == 24


def test_models_of_noise_explain_every_kind_of_image() -> None:
    rows = rows_of(*[(0, "CT", f"p{n}") for n in range(9)], (1, "CT", "q"), (1, "MR", "r"))
    chosen = sanity_cases(rows, range(11), seed=0, most=4)
    assert {9, 10} < set(chosen) and len(chosen) == 4 and chosen == sorted(chosen)
    assert sanity_cases(rows, [2, 9], seed=0, most=4) == [2, 9]


def test_a_panel_is_readable_with_and_without_evidence() -> None:
    image_HW = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    cell = np.eye(4, dtype=np.float32)
    long = "a sentence that is rather long, so that it has to be broken somewhere in the middle of what it says " * 2
    panel = Panel(
        [image_HW],
        {"ResNet": cell, "ViT attention": 0 * cell},
        f"title {long}",
        [long, long],
        ("ResNet", "ViT attention", 0.6),
    )
    figure = panel_figure(panel)
    check_readable(figure, width_cm=16)
    check_readable(panel_figure(Panel([image_HW], {"ViT": cell}, long, [long])))
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any("no positive" in text for text in texts)
    assert any("fused: 0.6" in axes.get_title() for axes in figure.axes)
    with pytest.raises(ExplanationError, match="no colour map 'infern'; did you mean inferno"):
        panel_figure(panel, "infern")


def test_a_fused_view_has_the_weight_of_each_map_that_it_says() -> None:
    image_HW, first, second = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    first[0, 0], second[1, 1] = 3, 5
    (fused_HW,) = (
        view
        for name, view in _views(Panel([image_HW], {"A": first, "B": second}, "", fused=("A", "B", 0.6))).items()
        if name.startswith("fused")
    )
    assert fused_HW == pytest.approx(np.array([[0.6, 0], [0, 0.4]]))


@pytest.fixture(scope="module")
def explained_side(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictions]:
    """Twelve images of twelve patients, explained by an untrained network of two branches."""
    record = ARCHITECTURES["resnet_vit"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in trials: several wait for each other on busy cores
    torch.manual_seed(0)
    values = default_hyperparameters("resnet_vit") | dict(record.smoke) | {"image_px": SIDE_PX}
    model = build_model("resnet_vit", values, 2).eval()
    images_NHW = np.zeros((12, SIDE_PX, SIDE_PX), np.uint8)
    yy, xx = np.mgrid[:SIDE_PX, :SIDE_PX]
    for n in range(12):
        images_NHW[n][(yy - 32) ** 2 + (xx - 32) ** 2 < 28**2] = 90
        images_NHW[n, 20 + n : 30 + n, 24:34] = 230
    masks = {(n, 0): images_NHW[n] == 230 for n in range(0, 12, 2)}
    rows = rows_of(*[(n % 2, "CT" if n < 6 else "MR", f"p{n}") for n in range(12)])
    predictions = Predictions(predict_logits(model, torch.from_numpy(images_NHW)[:, None], torch.arange(12)), rows)
    folder = tmp_path_factory.mktemp("side") / "explanations"
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explain_side(
        folder, TASKS["stroke"], Explained(record, model, images_NHW[:, None]), predictions, masks, "stroke", QUICK
    )
    torch.set_num_threads(threads)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return folder, predictions


def test_a_side_has_panels_tables_raw_maps_and_a_verdict_on_each_explainer(
    explained_side: tuple[Path, Predictions],
) -> None:
    folder, predictions = explained_side
    told = json.loads((folder / "explanations.json").read_text())
    names = {one.name for one in ARCHITECTURES["resnet_vit"].explainers}
    assert {*told["explainers"], *(line.partition(":")[0] for line in told["refused"])} == names
    assert {"ViT", "ViT attention"} <= set(told["explainers"])
    for one in told["explainers"].values():
        assert one["summary"]["sentence"] and one["randomisation"]["sentence"]
        assert one["summary"]["images"] == QUICK.proved
    with np.load(folder / "maps.npz", allow_pickle=False) as maps:
        panels = sorted(path.stem.removeprefix("panel_") for path in folder.glob("panel_*.png"))
        assert {name.partition("/")[0] for name in maps.files} == set(panels)
        assert all(maps[name].dtype == np.float32 and np.isfinite(maps[name]).all() for name in maps.files)
    table = (folder / "cases.csv").read_text().splitlines()
    assert len(table) == 1 + len(panels)
    digests = {case_digest([row.sha256, row.second_sha256]) for row in predictions.rows}
    assert {line.partition(",")[0] for line in table[1:]} <= digests
    assert ".png" not in "".join(table), "file names may name people"
    wrong = (predictions.probs_NK.argmax(axis=1) != predictions.labels_N).any()
    for figure in ("proof.png", "class_grid.png", *(["mistakes.png"] if wrong else [])):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")


def test_the_proof_figure_is_readable(explained_side: tuple[Path, Predictions]) -> None:
    from trainables.explain.proof import MapScores
    from trainables.explain.proof_summary import summarise_proof

    scores = [
        MapScores(
            explainer=name, source=source, image=f"{n}", group=f"p{n}", is_correct=n % 3 > 0, has_mask=True,
            is_blank=False, pointing=float(n % 2), energy_within=0.1 * (n % 5), energy_outside=0.5, deletion=0.3,
            insertion=0.8,
        )
        for name in ("ResNet", "ViT attention", "a name that is far too long for its place")
        for source in ("map", "random", "centre")
        for n in range(8)
    ]  # fmt: skip
    check_readable(proof_figure(summarise_proof(scores), "stroke, trial 6: what the maps are worth"), width_cm=16)


def test_a_model_of_noise_that_cannot_be_explained_costs_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    record = ARCHITECTURES["baseline_cnn"]
    values = default_hyperparameters("baseline_cnn") | {"image_px": SIDE_PX}
    images_NHW = np.random.default_rng(0).integers(0, 256, (3, 1, SIDE_PX, SIDE_PX), dtype=np.uint8)
    explained = Explained(record, build_model("baseline_cnn", values, 2).eval(), images_NHW)

    def broken(*given: object, **options: object) -> None:
        raise ExplanationError("the model's logits are no numbers")

    monkeypatch.setattr("trainables.explain.proving.randomisation_test", broken)
    rows = rows_of(*[(n % 2, "MR", f"p{n}") for n in range(3)])
    _, (one,), _ = prove(explained, record.explainers[:1], rows, {}, QUICK)
    assert one.verdict.depends_on_model is None and one.verdict.of_noise.endswith("logits are no numbers")
