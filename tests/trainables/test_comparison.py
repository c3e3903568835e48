"""Grids of random images of each class, and methods side by side: what they show is what was computed."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from explain_support import BlobNet, blob_images
from figure_support import check_readable
from matplotlib.figure import Figure

from trainables.catalog import architecture, default_hyperparameters
from trainables.configs.generic_cnn import GENERIC_EXPLAINERS
from trainables.errors import ExplanationError
from trainables.explain.case_panels import Case
from trainables.explain.class_grid import Tile, grid_figure, mistakes_of_each_class, random_of_each_class
from trainables.explain.comparison import comparison_figure, explainers_to_compare, write_comparison
from trainables.explain.explained import Explained
from trainables.explain.explainers import QUICK_CAMS, Explainer
from trainables.explain.map_warnings import MapVerdict
from trainables.explain.proof import MapScores
from trainables.models import build_model

CLASSES = ("mild", "moderate", "non", "very mild, a name that is long")


@pytest.fixture(scope="module")
def blobs() -> Explained:
    """A model that sees a blob, and five images of one at different corners."""
    torch.set_num_threads(1)
    x_B1HW = blob_images((2, 5), (6, 1), (3, 3), (5, 5), (1, 6))
    return Explained(architecture("baseline_cnn"), BlobNet().eval(), (x_B1HW * 255).byte().numpy())


def cases(number: int) -> list[Case]:
    return [Case(f"{n}_x", n, 1, "", {"explained": "stroke"}) for n in range(number)]


def test_images_of_each_class_are_drawn_whatever_was_predicted() -> None:
    labels_N = np.array([2, 0, 2, 2, 0, 2, 3])
    chosen = random_of_each_class(labels_N, 3, seed=0)
    assert [int(labels_N[n]) for n in chosen] == [0, 0, 2, 2, 2, 3]
    assert chosen == random_of_each_class(labels_N, 3, seed=0)
    assert len({tuple(random_of_each_class(labels_N, 1, seed=seed)) for seed in range(20)}) > 3


def test_mistakes_are_shown_by_class_the_surest_first() -> None:
    labels_N = np.array([0, 0, 0, 1, 1, 2])
    probs_NK = np.array(
        [[0.9, 0.1, 0], [0.3, 0.7, 0], [0.1, 0.9, 0], [0.8, 0.2, 0], [0, 1, 0], [0.1, 0.1, 0.8]], dtype=np.float64
    )
    assert mistakes_of_each_class(probs_NK, labels_N, 3) == [2, 1, 3]
    assert mistakes_of_each_class(probs_NK, labels_N, 1) == [2, 3]
    assert mistakes_of_each_class(np.eye(3)[labels_N], labels_N, 3) == []


def test_a_grid_has_a_row_for_each_true_class_and_says_both_classes() -> None:
    image_HW = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    map_HW = np.eye(32, dtype=np.float32)
    tiles = [Tile(image_HW, map_HW * (n != 1), true, n % 4) for n, true in enumerate([0, 0, 0, 3, 3])]
    figure = grid_figure(tiles, CLASSES, "alzheimer, trial 3 (baseline_cnn): random test images of each class")
    check_readable(figure, width_cm=16)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "true: mild\npred.: mild"
    assert titles[4].startswith("true: very mild") and titles[4].endswith("mild") and titles[5] == ""
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no positive\nevidence"]


def test_many_images_of_a_class_have_several_rows_and_whole_names() -> None:
    image_HW = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    tiles = [Tile(image_HW, np.eye(32, dtype=np.float32), true, 3) for true in [0] * 12 + [3] * 2]
    figure = grid_figure(tiles, CLASSES, "alzheimer version 1: random test images of each class")
    check_readable(figure, width_cm=16)
    titles = [axes.get_title() for axes in figure.axes]
    assert sum(title.startswith("true: mild\npred.: very mild") for title in titles) == 12
    assert sum(title.startswith("true: very mild") for title in titles) == 2
    assert len(titles) == 16, "four in a row"
    few = grid_figure([tile for tile in tiles if tile.true][:1], CLASSES, "one")
    check_readable(few)


def test_methods_are_scored_beside_controls_and_pointing_needs_a_lesion(tmp_path: Path, blobs: Explained) -> None:
    masks = {(0, 0): np.zeros((32, 32), bool)}
    masks[0, 0][8:12, 20:24] = True  # the blob of cell (2, 5)
    explainers = [Explainer(name, "features", name) for name in ("gradcam", "eigencam")]
    compared = write_comparison(tmp_path, blobs, explainers, cases(5), masks, {})
    assert [(one.method, one.layer, one.images, one.blank) for one in compared] == [
        ("gradcam", "features", 5, 0), ("eigencam", "features", 5, 0)
    ]  # fmt: skip
    first = compared[0].figures
    assert first["deletion"]["map"] < min(first["deletion"]["random"], first["deletion"]["centre"])
    assert first["pointing"]["map"] == 1.0 and first["pointing"]["random"] < 0.5
    rows = list(csv.DictReader((tmp_path / "comparison.csv").open()))
    assert len(rows) == 5 * 2 * 3
    own = [float(row["deletion"]) for row in rows if (row["method"], row["source"]) == ("gradcam", "map")]
    assert np.mean(own) == pytest.approx(first["deletion"]["map"])
    assert {row["pointing"] == "" for row in rows if row["image"] != "0_x"} == {True}
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_has_a_row_for_each_image_and_layer_and_the_deletion_above_each_map(blobs: Explained) -> None:
    explainers = [Explainer(name, layer, f"{name} {layer}") for layer in ("features", "") for name in ("gradcam",)]
    maps = blobs.maps(explainers, [0, 1], [1, 1])
    scores = [
        MapScores(
            explainer=one.name, source="map", image=f"{n}_x", group="", is_correct=True, has_mask=False, is_blank=False,
            deletion=0.1 * (1 + n),
        )
        for one in explainers
        for n in range(2)
    ]  # fmt: skip
    figure = comparison_figure(blobs.images_NMHW, cases(2), maps, scores, {})
    check_readable(figure, width_cm=16)
    layers = len({one.layer for one in maps.values()})
    assert len(figure.axes) == 2 * layers * 2
    assert figure.axes[0].get_title() == "stroke"
    assert figure.axes[1].get_title() == "Grad-CAM\n0.10\nnot known"
    assert figure.axes[-1].get_title() == "0.20\nnot known"


def test_each_map_says_whether_maps_of_its_method_at_its_layer_passed_their_tests(
    tmp_path: Path, blobs: Explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr("trainables.explain.comparison.save", lambda figure, path: drawn.append(figure))
    verdicts = {
        "CNN": MapVerdict(False, "CNN is not surely better than its controls, do not rely on it: -", False, "edges"),
        "CNN fine": MapVerdict(True, "CNN fine beats its controls", True, "it depends on the model"),
    }
    recorded = replace(blobs, architecture=replace(blobs.architecture, explainers=GENERIC_EXPLAINERS))
    explainers = explainers_to_compare(recorded, ["gradcam", "hirescam", *QUICK_CAMS], "features.1")
    compared = write_comparison(tmp_path, recorded, explainers, cases(1), {}, verdicts)
    assert {one.method: one.tests for one in compared} == {
        "gradcam": "do not rely on it", "hirescam": "beats its controls",
    } | dict.fromkeys(("gradcam++", "layercam", "xgradcam", "eigencam"), "not known")  # fmt: skip
    (figure,) = drawn
    check_readable(figure, width_cm=16)
    titles = [" ".join(axes.get_title().split()) for axes in figure.axes]
    assert titles[1].startswith("Grad-CAM ") and titles[1].endswith(" do not rely on it")
    assert titles[2].startswith("HiResCAM ") and titles[2].endswith(" beats its controls")
    assert all(title.endswith(" not known") for title in titles[3:])
    below = " ".join(figure.texts[-1].get_text().split())
    assert "Beats its controls: better than maps that know nothing of the model, and changed when" in below
    assert "Not known: to be better than maps that know nothing of the model, or to change when" in below
    assert "Grad-CAM at features.1 (CNN) is not surely better than its controls, do not rely on it: -" in below
    assert "Grad-CAM at features.1: edges" in below and "HiResCAM at" not in below


def test_every_method_is_tried_at_every_layer_of_the_record_or_at_the_one_asked_for(blobs: Explained) -> None:
    layers = [one.layer for one in architecture("baseline_cnn").explainers]
    found = explainers_to_compare(blobs, ["Grad-CAM", "hirescam", "gradcam"], None)
    assert [(one.method, one.layer) for one in found] == [(m, at) for at in layers for m in ("gradcam", "hirescam")]
    assert {one.layer for one in explainers_to_compare(blobs, ["fem"], "features.0")} == {"features.0"}
    with pytest.raises(ExplanationError, match="occlusion has no layer to choose; compared can be gradcam, "):
        explainers_to_compare(blobs, ["occlusion"], None)
    with pytest.raises(ExplanationError, match="did you mean gradcam"):
        explainers_to_compare(blobs, ["grad-kam"], None)
    with pytest.raises(ExplanationError, match="auto has no layer to choose"):
        explainers_to_compare(blobs, ["auto"], None)


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/test_vit"])
def test_what_timm_names_is_compared_too(blobs: Explained, name: str) -> None:
    images_NMHW = blobs.images_NMHW.repeat(2, axis=2).repeat(2, axis=3)
    model = build_model(name, default_hyperparameters(name) | {"image_px": 64}, 2).eval()
    of_timm = Explained(architecture(name), model, images_NMHW)
    explainers = explainers_to_compare(of_timm, ["gradcam", "eigencam"], None)
    assert [one.method for one in of_timm.maps(explainers, [0], [1]).values()] == ["gradcam", "eigencam"]


def test_without_explainers_of_its_own_the_layer_is_found(blobs: Explained) -> None:
    plain = replace(blobs, architecture=replace(blobs.architecture, explainers=(Explainer(),)))
    explainers = explainers_to_compare(plain, ["gradcam"], None)
    assert [found.layer for found in plain.maps(explainers, [0], [1]).values()] == ["features.1"]
