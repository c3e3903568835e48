"""Figures and tables of a dual cross-attention model: all readable, also where there is nothing to see."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cross_support import even_look, random_look
from figure_support import check_colours, check_readable, seen_texts
from matplotlib.figure import Figure

from trainables.errors import ExplanationError
from trainables.explain.attention_by_class import by_class_figure
from trainables.explain.attention_sketch import sketch_figure, sketch_lines
from trainables.explain.attention_statistics import attention_rows
from trainables.explain.cross_attention_files import write_cross_attention
from trainables.explain.cross_look import CrossCase, CrossLook
from trainables.explain.encoder_features import features_figure
from trainables.explain.fused_heatmap import fused_figure
from trainables.explain.localisation import EVEN_FRACTION
from trainables.explain.received_attention import received_figure
from trainables.explain.token_similarity import similarity_figure, similarity_stages

TITLE = "brain tumour, trial 3 (dual_cross_attention), pair 12: true tumour, predicted tumour 0.93"
LONG = ("a modality with a long name", "and another one that is longer")
LOOKS = {
    "random": random_look(seed=0, heads=4),
    "one head": random_look(seed=1, heads=1, sharpness=9),
    "even": even_look(),
    "two channels": replace(random_look(seed=2), names=LONG, features_2CHW=np.ones((2, 2, 3, 4), np.float32)),
}


def words_of(figure: Figure) -> str:
    return " ".join(text.get_text() for text in seen_texts(figure)).replace("\n", " ")


def cases(labels: list[int]) -> list[CrossCase]:
    return [CrossCase(f"pair_{n}", label, 1, TITLE) for n, label in enumerate(labels)]


@pytest.mark.parametrize("look", LOOKS.values(), ids=list(LOOKS))
def test_every_figure_of_a_case_is_readable(look: CrossLook) -> None:
    for figure in (
        received_figure(look, TITLE),
        sketch_figure(look, TITLE),
        features_figure(look, TITLE),
        fused_figure(look, TITLE),
        similarity_figure(look, similarity_stages(look), TITLE),
    ):
        check_readable(figure, width_cm=16)


def test_attention_is_drawn_on_the_image_of_the_keys_on_one_scale_from_0() -> None:
    figure = received_figure(LOOKS["random"], TITLE)
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == ["CT", "MRI to CT", "MRI", "CT to MRI"]
    for covered, image_HW in zip(figure.axes[1:4:2], LOOKS["random"].images_2HW, strict=True):
        assert np.array_equal(covered.images[0].get_array(), image_HW)
    assert "multiples of the even share 1/12" in words_of(figure)


def test_even_attention_is_not_stretched_to_look_like_a_finding() -> None:
    figure = received_figure(LOOKS["even"], TITLE)
    over_HW = np.asarray(figure.axes[1].images[1].get_array())
    assert over_HW == pytest.approx(0.5, abs=1e-6)  # 1 even share, of a scale that ends at 2
    assert "CT to MRI, where CT looks: 1.00 to 1.00" in words_of(figure)


def test_lines_go_from_the_querys_patch_to_the_keys_in_the_other_image() -> None:
    look = LOOKS["random"]
    figure = sketch_figure(look, TITLE)
    check_colours(figure)
    for direction, axes in enumerate(figure.axes):
        lines = list(reversed(sketch_lines(look.attention_2HQK[direction]).lines))
        assert len(axes.lines) == len(lines) > 0
        for drawn, line in zip(axes.lines, lines, strict=True):
            (x0, x1), (y0, y1) = np.array(drawn.get_xdata()), np.array(drawn.get_ydata())
            assert (y0 // 8, x0 // 8) == divmod(line.query, 4)
            assert (y1 // 8, (x1 - 1.1 * 32) // 8) == divmod(line.key, 4)
            assert drawn.get_alpha() == pytest.approx(line.alpha)
        assert np.array_equal(axes.images[0].get_array(), look.images_2HW[direction])
        assert np.array_equal(axes.images[1].get_array(), look.images_2HW[1 - direction])


def test_what_is_not_drawn_is_said() -> None:
    words = words_of(sketch_figure(LOOKS["even"], TITLE))
    assert words.count("attention is even: no line is above 2/N") == 2
    assert "2/N = 0.1667. CT to MRI: 0 lines drawn, 18 not" in words
    assert "all features are 0" in words_of(features_figure(LOOKS["even"], TITLE))
    assert "10 fused channels: 0 everywhere" in words_of(fused_figure(LOOKS["even"], TITLE))
    assert len(fused_figure(LOOKS["even"], TITLE).axes[1].images) == 1  # the image alone
    similarity = LOOKS["even"]
    assert "CKA none (none)" in words_of(similarity_figure(similarity, similarity_stages(similarity), TITLE))


@pytest.mark.parametrize(("fraction", "is_drawn"), [(0.9, False), (1.1, True)])
def test_a_fused_map_is_not_stretched_where_any_other_map_is_even(fraction: float, is_drawn: bool) -> None:
    fused_DHW = np.ones((10, 3, 4), np.float32)
    fused_DHW[:, :2] -= np.float32(fraction * EVEN_FRACTION)
    figure = fused_figure(replace(LOOKS["random"], fused_DHW=fused_DHW), TITLE)
    assert [len(axes.images) for axes in figure.axes[:4]] == [1, 3 if is_drawn else 1] * 2


@pytest.mark.parametrize("labels", [[0], [0, 1], [1, 0, 1, 1, 2, 3, 4, 5, 6, 7]])
def test_classes_stand_side_by_side_with_a_point_for_each_case(labels: list[int]) -> None:
    classes = [f"class {k}, a name that is long" for k in range(8)]
    rows = [row for n, case in enumerate(cases(labels)) for row in attention_rows(case, random_look(seed=n))]
    figure = by_class_figure(rows, classes, 12)
    check_readable(figure, width_cm=16)
    check_colours(figure)
    points = [
        len(collection.get_offsets()) for collection in figure.axes[0].collections if len(collection.get_offsets())
    ]
    assert sum(points) >= 2 * len(labels)
    assert "mean: always 1/N = 0.0833" in words_of(figure)


def test_classes_of_models_that_learned_nothing_are_readable_too() -> None:
    rows = [row for case in cases([0, 1]) for row in attention_rows(case, even_look())]
    check_readable(by_class_figure(rows, ("healthy", "tumour"), 12), width_cm=16)


def test_tables_are_of_all_cases_and_figures_and_maps_of_those_to_be_drawn(tmp_path: Path) -> None:
    looks = [random_look(seed=n) for n in range(3)]
    write_cross_attention(tmp_path, iter(looks), cases([0, 1, 1]), ("healthy", "tumour"), [2])
    of_case = {f"cross_pair_2_{what}.png" for what in ("attention", "sketch", "features", "fused", "similarity")}
    of_all = {
        "cross_attention.csv", "cross_attention_by_class.csv", "cross_attention_by_class.png", "cross_similarity.csv",
        "cross_maps.npz",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == of_case | of_all
    assert len(table(tmp_path / "cross_attention.csv")) == 3 * 2 * 3
    by_class = table(tmp_path / "cross_attention_by_class.csv")
    assert [(row["true"], row["cases"]) for row in by_class if row["head"] == "all"] == [
        ("healthy", "1"), ("healthy", "1"), ("tumour", "2"), ("tumour", "2")
    ]  # fmt: skip
    similarity = table(tmp_path / "cross_similarity.csv")
    assert [(row["case"], row["stage"]) for row in similarity[:2]] == [("pair_0", "before"), ("pair_0", "after")]
    with np.load(tmp_path / "cross_maps.npz") as raw:
        assert set(raw.files) == {f"pair_2/{what}" for what in ("attention", "received", "features", "fused")}
        assert np.array_equal(raw["pair_2/attention"], looks[2].attention_2HQK)
        assert raw["pair_2/received"].shape == (2, 3, 4) and raw["pair_2/fused"].shape == (3, 4)


def test_cases_that_were_picked_for_their_answer_are_in_no_mean(tmp_path: Path) -> None:
    picked = [replace(case, at_random=n > 0) for n, case in enumerate(cases([0, 0, 1]))]
    write_cross_attention(tmp_path, [random_look(seed=n) for n in range(3)], picked, ("healthy", "tumour"), [])
    assert {row["at_random"] for row in table(tmp_path / "cross_attention.csv")} == {"True", "False"}
    assert {row["cases"] for row in table(tmp_path / "cross_attention_by_class.csv")} == {"1"}
    unknown = [replace(case, true=None) for case in picked]
    write_cross_attention(tmp_path / "asked", [random_look(seed=n) for n in range(3)], unknown, ("a", "b"), [])
    assert not (tmp_path / "asked" / "cross_attention_by_class.csv").exists()


def test_looks_that_do_not_compare_are_refused(tmp_path: Path) -> None:
    looks = [LOOKS["random"], LOOKS["two channels"]]
    for other in (LOOKS["two channels"], LOOKS["one head"]):
        with pytest.raises(ExplanationError, match="looks of 2 kinds: expected the same modalities, grid and heads"):
            write_cross_attention(tmp_path, [LOOKS["random"], other], cases([0, 1]), ("healthy", "tumour"), [])
    with pytest.raises(ExplanationError, match=r"to be drawn: \[2\]; there are cases 0 to 1"):
        write_cross_attention(tmp_path, looks, cases([0, 1]), ("healthy", "tumour"), [2])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
