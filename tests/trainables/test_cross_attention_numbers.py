"""What two images' attention to each other says in numbers: on attention whose answer is known by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cross_support import even_look, random_look

from trainables.errors import ExplanationError
from trainables.explain.attention_by_class import class_cells, class_means
from trainables.explain.attention_sketch import SketchLine, sketch_lines
from trainables.explain.attention_statistics import (
    STATISTICS,
    attention_cells,
    attention_rows,
    head_disagreement,
    head_statistics,
)
from trainables.explain.cross_look import CrossCase, CrossLook
from trainables.explain.encoder_features import mean_map, strongest_channels
from trainables.explain.fused_heatmap import fused_map
from trainables.explain.received_attention import received_maps
from trainables.explain.token_similarity import linear_cka, token_similarity


def one_hot(*heads: list[int]) -> np.ndarray:
    """Return attention_HQK to one of as many keys as there are queries."""
    return np.eye(len(heads[0]), dtype=np.float32)[np.array(heads)]


def test_even_attention_has_entropy_1_and_all_keys_and_heads_that_agree() -> None:
    attention_HQK = np.full((3, 8, 8), 1 / 8, np.float32)
    for values in head_statistics(attention_HQK):
        assert values == pytest.approx(
            {"mean": 1 / 8, "max": 1 / 8, "min": 1 / 8, "entropy": 1, "effective_keys": 8, "top5_mass": 5 / 8}
        )
    assert head_disagreement(attention_HQK) == pytest.approx(0, abs=1e-9)


def test_attention_to_one_key_has_entropy_0_and_the_same_mean() -> None:
    (values,) = head_statistics(one_hot([3, 1, 0, 2, 2, 2, 2, 2]))
    assert values == pytest.approx(
        {"mean": 1 / 8, "max": 1, "min": 0, "entropy": 0, "effective_keys": 1, "top5_mass": 1}
    )


def test_statistics_are_means_over_queries_and_each_head_has_its_own() -> None:
    halves_HQK = np.array([[[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25] * 4, [0.25] * 4]] * 2)
    halves_HQK[1] = np.eye(4)
    first, second = head_statistics(halves_HQK)
    assert first["entropy"] == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert first["effective_keys"] == pytest.approx((2 + 1 + 4 + 4) / 4)
    assert (second["entropy"], second["effective_keys"]) == pytest.approx((0, 1))


def test_heads_disagree_by_as_much_as_their_rows_are_apart() -> None:
    assert head_disagreement(one_hot([0, 1, 2, 3], [0, 1, 2, 3])) == pytest.approx(0, abs=1e-9)
    assert head_disagreement(one_hot([0, 1, 2, 3], [1, 2, 3, 0])) == pytest.approx(1)
    assert head_disagreement(one_hot([0, 1, 2, 3], [0, 1, 3, 2])) == pytest.approx(0.5)
    three = one_hot([0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])  # two of the three pairs are apart
    assert head_disagreement(three) == pytest.approx(2 / 3)
    assert head_disagreement(three[:1]) == 0
    rows_HQK = np.array([[[1.0, 0]], [[0.5, 0.5]]])  # H(3/4, 1/4) - (H(1, 0) + H(1/2, 1/2)) / 2
    by_hand = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5
    assert head_disagreement(rows_HQK) == pytest.approx(by_hand)


def test_a_table_has_a_row_for_each_head_and_one_for_all_together() -> None:
    look = random_look(seed=1, heads=3)
    rows = attention_rows(CrossCase("a", 0, 1, ""), look)
    assert [(row.direction, row.head) for row in rows] == [
        (direction, head) for direction in ("CT to MRI", "MRI to CT") for head in (0, 1, 2, None)
    ]
    *heads, together = rows[4:]
    assert together.values["max"] == max(row.values["max"] for row in heads) == look.attention_2HQK[1].max()
    assert together.values["entropy"] == pytest.approx(np.mean([row.values["entropy"] for row in heads]))
    cells = attention_cells(together, ("healthy", "tumour"))
    assert list(cells) == ["case", "true", "predicted", "at_random", "direction", "head", *STATISTICS]
    assert (cells["true"], cells["predicted"], cells["head"]) == ("healthy", "tumour", "all")
    assert attention_cells(heads[0], ("healthy", "tumour"))["disagreement"] == ""


def test_classes_are_compared_by_their_true_label_and_one_case_has_no_spread() -> None:
    looks = [random_look(seed=n, heads=2, sharpness=1 + n) for n in range(3)]
    labels = [1, 0, 1]
    rows = [row for n, look in enumerate(looks) for row in attention_rows(CrossCase(f"{n}", labels[n], 0, ""), look)]
    means = class_means(rows)
    assert [(one.true, one.direction, one.head, one.cases) for one in means] == [
        (true, direction, head, cases)
        for true, cases in ((0, 1), (1, 2))
        for direction in ("CT to MRI", "MRI to CT")
        for head in (0, 1, None)
    ]
    own = [rows[2].values["entropy"], rows[14].values["entropy"]]  # all heads, CT to MRI, of cases 0 and 2
    tumour = means[8]
    assert tumour.mean["entropy"] == pytest.approx(np.mean(own))
    assert tumour.deviation["entropy"] == pytest.approx(abs(own[0] - own[1]) / math.sqrt(2))
    assert means[2].deviation == {} and class_cells(means[2], ("no", "yes"))["entropy_sd"] == ""


def test_what_places_receive_sums_to_n_even_shares_and_lies_on_the_image_of_the_keys() -> None:
    look = random_look(seed=0)
    maps_2hw = received_maps(look)
    assert maps_2hw.shape == (2, *look.grid)
    assert maps_2hw.sum(axis=(1, 2)) == pytest.approx([look.num_places] * 2, rel=1e-5)
    assert received_maps(even_look()) == pytest.approx(1, abs=1e-6)
    attention = np.full_like(look.attention_2HQK, 1 / look.num_places)
    attention[0] = 0
    attention[0, :, :, 5] = 1  # all of CT looks at MRI's second row, second place of four
    to_one_2hw = received_maps(replace(look, attention_2HQK=attention))
    assert to_one_2hw[0, 1, 1] == look.num_places and to_one_2hw[0].sum() == look.num_places
    assert to_one_2hw[1] == pytest.approx(1, abs=1e-6)


def test_lines_go_from_the_most_concentrated_queries_to_their_keys() -> None:
    weights_QK = np.full((8, 8), 1 / 8)
    weights_QK[6] = [0, 0.6, 0, 0, 0.3, 0, 0, 0.1]  # 0.1 is below 2 / 8
    weights_QK[2] = [0.5, 0, 0, 0, 0, 0, 0.25, 0.25]
    sketch = sketch_lines(weights_QK[None], num_queries=3, num_keys=3)
    assert [(line.query, line.key) for line in sketch.lines] == [(6, 1), (6, 4), (2, 0), (2, 6), (2, 7)]
    assert [line.weight for line in sketch.lines] == pytest.approx([0.6, 0.3, 0.5, 0.25, 0.25])
    assert [line.alpha for line in sketch.lines] == pytest.approx([1, 0.5, 1, 0.5, 0.5])
    assert sketch.not_drawn == 4  # the weakest of query 6, and three of an even one


def test_lines_are_of_the_mean_over_heads() -> None:
    sketch = sketch_lines(one_hot([0, 1, 2, 3, 4], [4, 1, 3, 2, 0]), num_queries=2, num_keys=2)
    assert sketch.lines == (SketchLine(1, 1, 1.0, 1.0), SketchLine(0, 0, 0.5, 1.0), SketchLine(0, 4, 0.5, 1.0))
    assert sketch.not_drawn == 1


def test_even_attention_has_no_line() -> None:
    sketch = sketch_lines(np.full((4, 9, 9), 1 / 9, np.float32))
    assert (sketch.lines, sketch.not_drawn) == ((), 18)
    assert sketch_lines(np.ones((1, 1, 1))).not_drawn == 1  # fewer patches than are asked for


def test_cka_does_not_change_when_features_are_turned_and_scaled() -> None:
    rng = np.random.default_rng(0)
    tokens_ND = rng.normal(size=(40, 6))
    turn_DD, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert linear_cka(tokens_ND, tokens_ND) == pytest.approx(1)
    assert linear_cka(tokens_ND, -3 * tokens_ND @ turn_DD + 7) == pytest.approx(1)
    other_ND = rng.normal(size=(40, 6))
    assert linear_cka(tokens_ND, other_ND) == pytest.approx(linear_cka(tokens_ND @ turn_DD, 0.1 * other_ND))


def test_cka_is_0_for_features_that_vary_apart_and_none_where_nothing_varies() -> None:
    first_ND, second_ND = (np.array([[1.0], [1], [-1], [-1]]), np.array([[1.0], [-1], [1], [-1]]))
    assert linear_cka(first_ND, second_ND) == pytest.approx(0, abs=1e-12)
    assert linear_cka(first_ND + second_ND, second_ND) == pytest.approx(0.5)
    constant_ND = np.full((4, 3), 0.1, np.float32)
    assert linear_cka(first_ND, constant_ND) is None
    assert linear_cka(constant_ND, constant_ND) is None


def test_chance_alone_aligns_tokens_with_many_channels_and_is_said() -> None:
    first_ND, second_ND = np.random.default_rng(0).normal(size=(2, 30, 200))
    found = token_similarity(first_ND, second_ND)
    assert found.cka is not None and found.cka_shuffled is not None
    assert found.cka > 0.5 and found.cka == pytest.approx(found.cka_shuffled, abs=0.05)


def test_cosines_are_of_the_first_images_rows_with_the_seconds() -> None:
    first_ND = np.array([[1, 0], [0, 2], [0, 0]], np.float32)
    second_ND = np.array([[3, 0], [1, 1], [0, -1]], np.float32)
    found = token_similarity(first_ND, second_ND)
    half = math.sqrt(0.5)
    assert found.cosine_NN == pytest.approx(np.array([[1, half, 0], [0, half, -1], [0, 0, 0]]))
    assert found.diagonal == pytest.approx((1 + half) / 3)
    assert found.off_diagonal == pytest.approx((half - 1) / 6)
    assert token_similarity(first_ND[:1], second_ND[:1]).off_diagonal is None


def test_the_strongest_channels_and_the_maps_are_means() -> None:
    features_CHW = np.zeros((4, 2, 2), np.float32)
    features_CHW[2], features_CHW[1, 0, 0], features_CHW[3, 1, 1] = 1, 8, 2
    assert strongest_channels(features_CHW, 3) == [1, 2, 3]
    assert strongest_channels(features_CHW) == [1, 2, 3, 0]
    assert mean_map(features_CHW) == pytest.approx(np.array([[2.25, 0.25], [0.25, 0.75]]))
    assert fused_map(np.array([[[-1.0, 2]], [[3, 0]]])) == pytest.approx(np.array([[2.0, 1]]))


@pytest.mark.parametrize(
    ("field", "spoil", "words"),
    [
        (
            "attention_2HQK",
            lambda array: array[:, 0],
            r"attention_2HQK of shape \(2, 12, 12\): expected \(2, any, 12, 12",
        ),
        ("attention_2HQK", lambda array: array * 1.01, "rows sum to 1.01 to 1.01"),
        ("attention_2HQK", lambda array: array * np.nan, "not finite"),
        ("attention_2HQK", lambda array: array[:, :0], r"of shape \(2, 0, 12, 12\)"),
        ("attention_2HQK", lambda array: 2 / 12 - array * 1.0, "smallest weight is -"),
        ("before_2ND", lambda array: array[:, 1:], r"before_2ND of shape \(2, 11, 5\): expected \(2, 12, any\)"),
        ("after_2ND", lambda array: array / 0, "after_2ND holds values that are not finite"),
        (
            "fused_DHW",
            lambda array: array.transpose(0, 2, 1),
            r"fused_DHW of shape \(10, 4, 3\): expected \(any, 3, 4\)",
        ),
        ("features_2CHW", lambda array: array[0], "features_2CHW of shape"),
        ("images_2HW", lambda array: array / 255, "images_2HW of float64: expected uint8"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_look_whose_arrays_do_not_fit_is_refused(
    field: str, spoil: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    look = random_look(seed=0)
    with pytest.raises(ExplanationError, match=words):
        replace(look, **{field: spoil(getattr(look, field))})


def test_attention_in_half_precision_still_sums_to_one() -> None:
    look = random_look(seed=0)
    half = replace(look, attention_2HQK=look.attention_2HQK.astype(np.float16).astype(np.float32))
    assert isinstance(half, CrossLook) and half.directions == ("CT to MRI", "MRI to CT")
