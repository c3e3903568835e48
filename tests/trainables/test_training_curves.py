"""Training curves hold the history, mark the epoch that training chose, and look sensible after one epoch."""

import numpy as np
import pytest
from figure_support import check_colours, check_readable, legend_rows

from trainables.evaluation.figures import draw_training_curves
from trainables.evaluation.figures.training_curves import best_epoch, training_curves_figure

TITLE = "stroke_hybrid, resnet_vit, trial 12 of a sweep with a name"


def history(epochs: int) -> list[dict[str, float | None]]:
    names = ("train/loss", "val/log_loss", "train/accuracy", "val/accuracy", "val/auroc", "val/balanced_accuracy")
    return [
        {"epoch": e, **{name: 0.5 + 0.1 * np.sin(e + i) for i, name in enumerate(names)}} for e in range(1, 1 + epochs)
    ]


@pytest.mark.parametrize("epochs", [1, 3, 35, 300])
@pytest.mark.parametrize("metric", ["auroc", "balanced_accuracy"])
def test_training_curves_can_be_read(epochs: int, metric: str) -> None:
    figure = training_curves_figure(history(epochs), metric, TITLE)
    check_readable(figure)
    check_colours(figure)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert 1 <= len(ticks) <= 4
        assert all(tick == int(tick) for tick in ticks), "half an epoch is none"
        assert np.ptp(axes.get_ylim()) >= 0.05, "no fifth digit of a single epoch"


def test_training_curves_hold_the_history_and_mark_the_best_epoch() -> None:
    values = [0.6, 0.8, None, 0.8, 0.7]
    losses = [0.9, 0.5, 0.5, 0.4, float("nan")]
    records = [{"epoch": e + 1, "val/auroc": values[e], "val/log_loss": losses[e]} for e in range(5)]
    assert best_epoch(records, "auroc") == 4, "of equal AUROC, the lower log loss"
    assert best_epoch(records, "log_loss") == 4, "the lowest, not the highest"
    assert best_epoch(records, "ece") is None
    figure = training_curves_figure(records, "auroc", "t")
    loss, accuracy, auroc = figure.axes
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), losses)
    np.testing.assert_array_equal(auroc.lines[0].get_ydata(), np.array(values, dtype=float))
    assert list(auroc.lines[1].get_xdata()) == [4, 4]
    assert "not\nrecorded" in [text.get_text() for text in accuracy.texts]
    assert legend_rows(figure) == ["training", "validation", "best epoch (4)"]


def test_without_any_epoch_there_are_still_axes() -> None:
    check_readable(training_curves_figure([], "auroc", "interrupted at once"))


def test_training_curves_are_written(tmp_path) -> None:
    draw_training_curves(tmp_path / "curves.png", history(2), "auroc", "t")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
