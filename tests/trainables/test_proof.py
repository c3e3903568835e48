"""An explainer beside its controls: who beats them, who does not, of whom nothing can be said, and how that is put."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from proof_support import SIDE_PX, blob_image, blob_mask, blob_model

from trainables.explain.proof import FIGURES, MapScores, ProofCase, ProofSettings, prove_image
from trainables.explain.proof_summary import ExplainerSummary, MeanFigure, summarise_proof

SETTINGS = ProofSettings(steps=10, percentiles=(30, 70), seed=1)
FAST = replace(SETTINGS, percentiles=())  # no ROAD
PLACES = [(8, 8), (8, 22), (22, 8), (22, 22), (7, 15), (24, 15), (15, 6), (15, 25)]


def proven(
    with_masks: bool = True, groups: int = 8, predicted_right: int = 16, settings: ProofSettings = FAST
) -> list[MapScores]:
    scores = []
    for index in range(16):
        row, column = PLACES[index % len(PLACES)]
        mask_HW = blob_mask(row, column, 5 if index < 8 else 4)
        case = ProofCase(
            image=f"{index}.png",
            index=index,
            group=f"p{index % groups}",
            is_correct=index < predicted_right,
            class_index=1,
            mask_HW=mask_HW if with_masks else None,
        )
        true_HW = mask_HW.astype(np.float32)
        maps = {
            "oracle": true_HW,
            "opposite": 1 - true_HW,
            "coarse": true_HW.reshape(8, 4, 8, 4).mean(axis=(1, 3)),
            "empty": np.zeros((8, 8), dtype=np.float32),
        }
        scores += prove_image(blob_model(mask_HW), blob_image(mask_HW, index), maps, case, settings)
    return scores


@pytest.fixture(scope="module")
def scores() -> list[MapScores]:
    return proven(settings=SETTINGS)


def summaries(scores: list[MapScores]) -> dict[str, ExplainerSummary]:
    return {one.explainer: one for one in summarise_proof(scores)}


def test_every_map_stands_beside_controls_of_its_own_grid(scores: list[MapScores]) -> None:
    assert len(scores) == 16 * 4 * 3
    first = [row for row in scores if row.image == "0.png"]
    assert [row.source for row in first] == ["map", "random", "centre"] * 4
    by_name = {(row.explainer, row.source): row for row in first}
    assert replace(by_name["oracle", "random"], explainer="opposite") == by_name["opposite", "random"]
    assert by_name["coarse", "random"].deletion != by_name["oracle", "random"].deletion
    assert scores == proven(settings=SETTINGS), "seeded"


def test_chance_is_the_lesions_share_of_the_image(scores: list[MapScores]) -> None:
    """One random map hits or misses; their mean is what a blind guess is worth, widened lesion over image."""
    for figure, tolerance_px in (("pointing", SETTINGS.tolerance_px), ("energy_within", 0)):
        values = [row.figure(figure) for row in scores if (row.explainer, row.source) == ("oracle", "random")]
        areas = [
            blob_mask(*PLACES[k % 8], (5 if k < 8 else 4) + tolerance_px).mean() for k in range(16)
        ]  # a disc, made wider
        assert np.mean([value for value in values if value is not None]) == pytest.approx(np.mean(areas), rel=0.2)


def test_the_true_map_beats_its_controls(scores: list[MapScores]) -> None:
    found = summaries(scores)
    for name in ("oracle", "coarse"):
        one = found[name]
        assert one.judged_by == "pointing" and one.groups == 8 and one.images == 16 and one.blank == 0
        assert one.beats_controls is True
        assert one.sentence.startswith(f"{name} beats its controls: pointing 1.00, random 0.")
        assert all(difference.low > 0 for difference in one.differences.values())
        for figure in FIGURES:
            if figure != "energy_outside":
                best = {"max": max, "min": min}[FIGURES[figure]]
                values = {source: one.all_images[source][figure].value for source in ("map", "random", "centre")}
                assert best(values, key=lambda source: values[source] or 0.0) == "map", figure


def test_the_opposite_does_not_and_the_panel_is_told(scores: list[MapScores]) -> None:
    one = summaries(scores)["opposite"]
    assert one.beats_controls is False
    assert "is not surely better than its controls, do not rely on it: pointing 0.0" in one.sentence
    assert "16 correct images of 8 groups" in one.sentence


def test_blank_maps_are_counted_and_left_out(scores: list[MapScores]) -> None:
    one = summaries(scores)["empty"]
    assert (one.images, one.blank, one.beats_controls) == (16, 16, None)
    assert one.all_images["map"]["pointing"] == MeanFigure(None, 0)
    assert one.all_images["random"]["pointing"] == MeanFigure(None, 0), "controls are of the same images"
    assert "16 of 16 maps show no positive evidence" in one.sentence
    half = [
        replace(row, is_blank=True, **dict.fromkeys(FIGURES))
        if row.explainer == "oracle" and row.source == "map" and int(row.image.split(".")[0]) < 4
        else row
        for row in scores
    ]
    rest = summaries(half)["oracle"]
    assert (rest.blank, rest.all_images["map"]["deletion"].images, rest.beats_controls) == (4, 12, True)
    assert rest.all_images["centre"]["deletion"].images == 12


def test_correct_images_are_told_apart_and_decide() -> None:
    scores = [
        replace(row, pointing=0.0) if not row.is_correct and row.source == "map" else row
        for row in proven(predicted_right=8)
    ]
    one = summaries(scores)["oracle"]
    assert one.all_images["map"]["pointing"] == MeanFigure(0.5, 16)
    assert one.correct_only["map"]["pointing"] == MeanFigure(1.0, 8)
    assert one.beats_controls is True and "8 correct images of 8 groups" in one.sentence


def test_without_masks_early_deletion_decides() -> None:
    found = summaries(proven(with_masks=False, predicted_right=2))
    assert found["oracle"].judged_by == "early_deletion" and found["oracle"].beats_controls is True
    assert found["opposite"].beats_controls is False
    assert "16 images of 8 groups" in found["oracle"].sentence
    assert found["oracle"].all_images["map"]["pointing"] == MeanFigure(None, 0)


def test_few_groups_say_nothing_however_many_images() -> None:
    one = summaries(proven(groups=5))["oracle"]
    assert one.beats_controls is None and one.differences == {}
    assert "too few groups (5, 6 are needed)" in one.sentence
    assert "pointing 1.00" in one.sentence, "the figures are told all the same"


def test_slices_of_a_patient_are_not_independent() -> None:
    """One patient in six is lost to the control by much: over images that is sure, over patients it is not."""

    def row(image: int, source: str, value: float, group: str) -> MapScores:
        return MapScores(
            explainer="cam", source=source, image=str(image), group=group, is_correct=True,  # type: ignore[arg-type]
            has_mask=True, is_blank=False, pointing=value,
        )  # fmt: skip

    wins = np.repeat([1, 1, 1, 0, 0, 1], 20).astype(float)
    for grouped, expected in ((True, False), (False, True)):
        rows = [
            row(k, source, value, f"p{k // 20 if grouped else k}")
            for k, win in enumerate(wins)
            for source, value in (("map", win), ("random", 0.3), ("centre", 0.1))
        ]
        assert summaries(rows)["cam"].beats_controls is expected


def test_a_sure_difference_of_nothing_is_none() -> None:
    """Of a model that hardly looks at its image every map takes away as much."""

    def row(image: int, source: str, value: float) -> MapScores:
        return MapScores(
            explainer="cam", source=source, image=str(image), group=str(image), is_correct=True,  # type: ignore[arg-type]
            has_mask=False, is_blank=False, early_deletion=value,
        )  # fmt: skip

    for gain, expected in ((0.005, False), (0.02, True)):
        rows = [row(k, s, 0.51 - gain * (s == "map")) for k in range(12) for s in ("map", "random", "centre")]
        assert summaries(rows)["cam"].beats_controls is expected


def test_no_explainer_no_summary() -> None:
    assert summarise_proof([]) == []


def test_road_may_be_left_out() -> None:
    mask_HW = blob_mask(8, 22)
    case = ProofCase(image="a", index=0, group="p", is_correct=True, class_index=1, mask_HW=mask_HW)
    settings = replace(SETTINGS, percentiles=())
    colour_CHW = blob_image(mask_HW).repeat(3, 1, 1)

    def predict(images_BCHW: torch.Tensor) -> torch.Tensor:
        return blob_model(mask_HW)(images_BCHW[:, :1])

    row = prove_image(predict, colour_CHW, {"cam": mask_HW.astype(float)}, case, settings)[0]
    assert row.road_morf is None and row.deletion is not None and row.energy_outside == pytest.approx(0)
    assert mask_HW.shape == (SIDE_PX, SIDE_PX)
