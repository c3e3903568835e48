"""Figures say what the arrays say, in letters that can be read, whatever the evaluation lacks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from figure_support import check_colours, check_readable, legend_rows
from matplotlib.figure import Figure
from PIL import Image

from trainables.evaluation.calibration import ECE_BINS, expected_calibration_error
from trainables.evaluation.class_metrics import per_class_metrics
from trainables.evaluation.figures import EvaluationArrays, write_figures
from trainables.evaluation.figures.classification_report import classification_report_figure, report_rows
from trainables.evaluation.figures.confusion_matrix import confusion_matrix_figure
from trainables.evaluation.figures.labels import shortened, width_in, wrapped
from trainables.evaluation.figures.most_wrong import most_wrong_figure, surest_mistakes
from trainables.evaluation.figures.precision_recall import precision_recall_figure
from trainables.evaluation.figures.probability_histograms import probability_histograms_figure
from trainables.evaluation.figures.reliability import bins_of_confidence, reliability_figure
from trainables.evaluation.figures.roc import roc_figure
from trainables.evaluation.figures.style import DPI, WIDTH_IN
from trainables.evaluation.metrics import classification_metrics, confusion_matrix

TWO = ("normal", "stroke")
FOUR = ("mild", "moderate", "non", "very_mild")
LONG = tuple(f"left_hemisphere_ischaemic_stroke_of_type_{k}_unconfirmed" for k in range(10))
TITLE = "stroke_hybrid, resnet_vit, test, 150 images of 38 patients"


def predicted(classes: int, images: int = 150, separation: float = 1.3) -> tuple[np.ndarray, np.ndarray]:
    """Return probs_NK and labels_N of a mediocre, overconfident model."""
    rng = np.random.default_rng(classes)
    labels_N = rng.integers(0, classes, images)
    scores_NK = rng.normal(size=(images, classes))
    scores_NK[np.arange(images), labels_N] += separation
    exp_NK = np.exp(2.5 * scores_NK)
    return exp_NK / exp_NK.sum(axis=1, keepdims=True), labels_N


def all_figures(probs_NK: np.ndarray, labels_N: np.ndarray, classes: tuple[str, ...], title: str) -> Iterator[Figure]:
    images_NHW = np.zeros((len(labels_N), 8, 8), dtype=np.uint8)
    names = [f"patients/patient_{k:03d}_a_long_name_of_a_file_{k}.png" for k in range(len(labels_N))]
    yield confusion_matrix_figure(confusion_matrix(probs_NK, labels_N), classes, title)
    yield roc_figure(probs_NK, labels_N, classes, title, (0.787, 0.905))
    yield precision_recall_figure(probs_NK, labels_N, classes, title, (0.787, 0.905))
    yield reliability_figure(probs_NK, labels_N, probs_NK, title)
    yield reliability_figure(probs_NK, labels_N, None, title)
    yield probability_histograms_figure(probs_NK, labels_N, classes, title)
    yield classification_report_figure(probs_NK, labels_N, classes, title)
    yield most_wrong_figure(images_NHW, probs_NK, labels_N, classes, names, title, 6)


@pytest.mark.parametrize(
    ("classes", "title"), [(TWO, TITLE), (FOUR, "test"), (LONG, 5 * TITLE)], ids=["two", "four", "ten_long"]
)
def test_everything_written_can_be_read(classes: tuple[str, ...], title: str) -> None:
    for figure in all_figures(*predicted(len(classes)), classes, title):
        check_readable(figure)
        check_colours(figure)


@pytest.mark.parametrize("classes", [TWO, FOUR])
def test_the_drawn_areas_are_the_metrics(classes: tuple[str, ...]) -> None:
    probs_NK, labels_N = predicted(len(classes))
    scores = classification_metrics(probs_NK, labels_N)
    curves = 1 if len(classes) == 2 else len(classes)
    roc = roc_figure(probs_NK, labels_N, classes, "t", (0.111, 0.999))
    drawn = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in roc.axes[0].lines[:curves]]
    assert np.mean(drawn) == pytest.approx(scores["auroc"])
    recall = precision_recall_figure(probs_NK, labels_N, classes, "t", (0.111, 0.999))
    assert {line.get_drawstyle() for line in recall.axes[0].lines[:curves]} == {"steps-post"}, "recall falls"
    steps = [(line.get_xdata(), line.get_ydata()) for line in recall.axes[0].lines[:curves]]
    assert np.mean([-(np.diff(x) * y[:-1]).sum() for x, y in steps]) == pytest.approx(scores["average_precision"])
    for figure, metric in ((roc, "auroc"), (recall, "average_precision")):
        of = "stroke" if len(classes) == 2 else "mean of the classes"
        assert f"{scores[metric]:.3f} (0.111–0.999)  {of}" in legend_rows(figure)
    dashes = {(line.get_color(), line.get_linestyle()) for line in roc.axes[0].lines}
    assert len(dashes) == curves + 1, "no two curves look the same"


def test_chance_is_drawn_where_it_lies() -> None:
    probs_NK, labels_N = predicted(2)
    chance = roc_figure(probs_NK, labels_N, TWO, "t", None).axes[0].lines[-1]
    assert (list(chance.get_xdata()), list(chance.get_ydata())) == ([0, 1], [0, 1])
    prevalence = precision_recall_figure(probs_NK, labels_N, TWO, "t", None).axes[0].lines[-1]
    assert list(prevalence.get_ydata()) == [labels_N.mean()] * 2


def test_a_class_without_a_curve_is_named_with_the_reason() -> None:
    probs_NK, labels_N = predicted(4)
    labels_N[labels_N == 2] = 0
    for build in (roc_figure, precision_recall_figure):
        figure = build(probs_NK, labels_N, FOUR, "t", None)
        assert "–  non: no images of it" in legend_rows(figure)
        assert sum(len(line.get_xdata()) > 2 for line in figure.axes[0].lines) == 3
        alone = build(probs_NK, np.full_like(labels_N, 3), FOUR, "t", None)
        assert "–  very_mild: no images of other classes" in legend_rows(alone)


def test_reliability_bins_are_those_of_ece() -> None:
    probs_NK, labels_N = predicted(4)
    confidence_B, accuracy_B, count_B = bins_of_confidence(probs_NK, labels_N)
    gap = np.nansum(count_B * np.abs(confidence_B - accuracy_B)) / len(labels_N)
    ece = expected_calibration_error(probs_NK, labels_N)
    assert gap == pytest.approx(ece)
    edge = 9 / ECE_BINS
    assert bins_of_confidence(np.array([[edge, 1 - edge]]), np.array([0]))[2].nonzero()[0].tolist() == [9]
    softer_NK = (probs_NK + 0.25) / 2
    figure = reliability_figure(probs_NK, labels_N, softer_NK, "t")
    before, after, histogram, _ = figure.axes
    filled_B = count_B > 0
    np.testing.assert_array_equal(before.lines[1].get_xydata(), np.stack([confidence_B, accuracy_B], 1)[filled_B])
    assert before.get_title() == f"before scaling\nECE {ece:.3f}"
    assert after.get_title() == f"after scaling\nECE {expected_calibration_error(softer_NK, labels_N):.3f}"
    heights = [bar.get_height() for bar in histogram.patches]
    assert len(heights) == ECE_BINS and sum(heights) == pytest.approx(1)
    assert len(reliability_figure(probs_NK, labels_N, None, "t").axes) == 2, "one panel and its histogram"


@pytest.mark.parametrize("classes", [TWO, FOUR])
def test_histograms_show_the_shares_of_each_true_class(classes: tuple[str, ...]) -> None:
    probs_NK, labels_N = predicted(len(classes))
    figure = probability_histograms_figure(probs_NK, labels_N, classes, "t")
    for k, axes in enumerate(figure.axes):
        heights = np.array([bar.get_height() for bar in axes.patches])
        assert heights.sum() == pytest.approx(1)
        centres = np.array([bar.get_x() + bar.get_width() / 2 for bar in axes.patches])
        mean = probs_NK[labels_N == k, 1 if len(classes) == 2 else k].mean()
        assert (heights * centres).sum() == pytest.approx(mean, abs=0.025), "half a bin"
        assert axes.get_title(loc="left") == f"{classes[k]}, n = {(labels_N == k).sum()}"


def test_the_report_is_the_metrics_per_class_and_never_flatters() -> None:
    probs_NK, labels_N = predicted(4)
    rows = report_rows(probs_NK, labels_N, FOUR)
    scores = classification_metrics(probs_NK, labels_N)
    assert rows[-1][2:] == (f"{scores['balanced_accuracy']:.3f}", f"{scores['macro_f1']:.3f}", "150")
    record = per_class_metrics(probs_NK, labels_N, FOUR)[3]
    assert rows[3] == (
        "very_mild",
        f"{record.precision:.3f}",
        f"{record.recall:.3f}",
        f"{record.f1:.3f}",
        str(record.support),
    )
    never = report_rows(np.eye(3)[[0, 0, 0, 1]], np.array([0, 0, 2, 1]), ("a", "b", "c"))
    assert never[2] == ("c", "–", "0.000", "0.000", "1")
    assert never[3][1] == f"{(2 / 3 + 1 + 0) / 3:.3f}", "never predicted counts 0 in the mean, it is not left out"
    shown = [text.get_text() for text in classification_report_figure(probs_NK, labels_N, FOUR, "t").axes[0].texts]
    assert [cell for row in rows for cell in row] == shown[5 : 5 + 5 * len(rows)]


def test_the_gallery_begins_with_the_surest_mistake() -> None:
    probs_NK = np.array([[0.9, 0.1], [0.3, 0.7], [0.05, 0.95], [0.6, 0.4], [0.2, 0.8]])
    labels_N = np.array([0, 0, 0, 1, 1])
    assert surest_mistakes(probs_NK, labels_N).tolist() == [2, 1, 3]
    images_NHW = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((8, 8), dtype=np.uint8)
    names = [f"folder/image_{k}.png" for k in range(5)]
    figure = most_wrong_figure(images_NHW, probs_NK, labels_N, TWO, names, "t", 2)
    tiles = [axes for axes in figure.axes if axes.images]
    assert [int(tile.images[0].get_array()[0, 0]) for tile in tiles] == [2, 1]
    assert tiles[0].get_title() == "true: normal\npred.: stroke\nprobability 0.95\nimage_2.png"
    assert figure.get_suptitle() == "t: the surest 2 of 3 mistakes in 5 images"
    right = most_wrong_figure(images_NHW, probs_NK, probs_NK.argmax(axis=1), TWO, names, "t", 2)
    assert right.axes[0].texts[0].get_text() == "no mistakes in 5 images"


def test_cells_of_the_confusion_matrix() -> None:
    figure = confusion_matrix_figure(np.array([[5, 15, 0], [0, 0, 0], [1, 0, 2]]), ("a", "b", "c"), "t")
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells == ["5\n25%", "15\n75%", "0\n0%", "0", "0", "0", "1\n33%", "0\n0%", "2\n67%"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    many = confusion_matrix_figure(np.full((10, 10), 123456), [f"class {k}" for k in range(10)], "t")
    check_readable(many)
    assert many.axes[0].texts[0].get_text() == "123k\n10"


@pytest.mark.parametrize(
    ("probs_NK", "labels_N", "classes"),
    [
        (np.array([[0.4, 0.6]]), np.array([1]), TWO),
        (np.array([[0.4, 0.6]]), np.array([0]), TWO),
        (np.eye(2)[[0, 1, 1]], np.array([0, 1, 1]), TWO),
        (predicted(4)[0], np.full(150, 2), FOUR),
        (np.full((6, 2), 0.5), np.array([0, 1] * 3), TWO),
        (*predicted(10, images=12), ("_hidden", "$x^{", "a$b", "c\nd", "", " ", "é", "100 %", "\\alpha", "{}")),
    ],
    ids=["one_right", "one_wrong", "all_right", "one_class", "all_alike", "odd_names"],
)
def test_every_degenerate_evaluation_is_drawn(
    probs_NK, labels_N, classes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for figure in all_figures(probs_NK, labels_N, classes, "an $odd_{ title"):
        check_readable(figure)
    monkeypatch.setattr("trainables.evaluation.figures.style.DPI", 40)  # nobody looks at these
    images_NHW = np.zeros((len(labels_N), 8, 20), dtype=np.uint8)
    evaluated = EvaluationArrays(probs_NK, labels_N, classes, probs_NK, images_NHW, ["$.png"] * len(labels_N))
    written = write_figures(tmp_path, evaluated, "t", {})
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    assert len(written) == 7


def test_letters_that_the_font_lacks_print_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    probs_NK, labels_N = predicted(2)
    evaluated = EvaluationArrays(probs_NK, labels_N, ("\u6b63\u5e38", "\u5352\u4e2d"), None, None, [""] * 150)
    write_figures(tmp_path, evaluated, "\u8133", {})
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]


def test_figures_on_disk_are_as_wide_as_half_a_page(tmp_path: Path) -> None:
    probs_NK, labels_N = predicted(2)
    evaluated = EvaluationArrays(probs_NK, labels_N, TWO, None, None, [""] * 150)
    written = write_figures(tmp_path, evaluated, "t", {"auroc": (0.8, 0.9), "accuracy": (0.7, 0.8)})
    assert "most_wrong.png" not in {path.name for path in written}, "there are no images"
    for path in written:
        with Image.open(path) as image:
            assert image.width == pytest.approx(WIDTH_IN * DPI, abs=1)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    probs_NK, labels_N = predicted(2)
    with pytest.raises(ValueError, match="3 classes for 2 columns"):
        EvaluationArrays(probs_NK, labels_N, ("a", "b", "c"), None, None, [""] * 150)
    with pytest.raises(ValueError, match="149 names for 150"):
        EvaluationArrays(probs_NK, labels_N, TWO, None, None, [""] * 149)
    with pytest.raises(ValueError, match="no images"):
        EvaluationArrays(probs_NK[:0], labels_N[:0], TWO, None, None, [])


def test_what_does_not_fit_goes_from_the_middle() -> None:
    assert shortened("very_mild", 1) == "very_mild"
    assert shortened("a" * 30 + "b" * 30, 0.5).strip("ab") == "…"
    assert width_in(shortened("W" * 60, 0.5)) <= 0.5
    assert shortened("$a$ cost\ud800", 2) == r"\$a\$ cost?"
    assert [len(line) > 0 and width_in(line) <= 1 for line in wrapped(TITLE, 1).split("\n")] == [True] * 4
