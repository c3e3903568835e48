"""How a training went: loss, accuracy and the metric that chose the weights, over epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from trainables.evaluation.figures.labels import FONT_PT, metric_title, wrapped
from trainables.evaluation.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    legend_below,
    new_figure,
    save,
    say_instead,
    style_axes,
)
from trainables.evaluation.metrics import is_better

Epoch = Mapping[str, float | None]

PANEL_IN = 0.75
FEW_EPOCHS = 25  # up to here every epoch is a dot; beyond, dots only keep lone epochs from vanishing
FEW_TICKS = 3
LEAST_SPAN = 0.05  # of a scale of loss or metric: less would blow up the fifth digit of a single epoch
TRAIN: dict[str, Any] = {"color": ORANGE, "linestyle": "--", "label": "training"}
VALIDATION: dict[str, Any] = {"color": BLUE, "linestyle": "-", "label": "validation"}
BEST: dict[str, Any] = {"color": GREY, "linestyle": ":"}


def draw_training_curves(path: Path, history: Sequence[Epoch], metric: str, title: str) -> None:
    """Write a PNG: loss and accuracy of training and validation, and the metric of METRICS on validation.

    Each record holds `epoch`, `train/loss`, `val/log_loss`, `train/accuracy`, `val/accuracy` and `val/<metric>`; what
    is None or missing leaves a gap. The best epoch is that of `is_better`, as training chooses it.
    """
    save(training_curves_figure(history, metric, title), path)


def training_curves_figure(history: Sequence[Epoch], metric: str, title: str) -> Figure:
    """Return the figure of `draw_training_curves`."""
    figure = new_figure(1.9, title)
    panels = (
        ("objective and log loss (nats)", {"train/loss": TRAIN, "val/log_loss": VALIDATION}),
        ("accuracy", {"train/accuracy": TRAIN, "val/accuracy": VALIDATION}),
        (f"validation {metric_title(metric)}", {f"val/{metric}": VALIDATION}),
    )
    best = best_epoch(history, metric)
    for axes, (name, curves) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        style_axes(axes)
        axes.set_title(wrapped(name, PANEL_IN), fontsize=FONT_PT, pad=3)
        axes.set_xlabel("epoch", fontsize=FONT_PT)
        _draw_panel(axes, history, curves, best)
    lines = [Line2D([], [], lw=1, **look) for look in (TRAIN, VALIDATION)]
    if best is not None:
        lines.append(Line2D([], [], lw=0.75, label=f"best epoch ({best})", **BEST))
    legend_below(figure, lines, columns=len(lines))
    return figure


def best_epoch(history: Sequence[Epoch], metric: str) -> int | None:
    """Return the first epoch that none is better than; None where the metric is nowhere known."""
    best: tuple[int, dict[str, float | None]] | None = None
    for index, record in enumerate(history):
        scores = {name: _finite(record.get(f"val/{name}")) for name in (metric, "log_loss")}
        if scores[metric] is not None and is_better(scores, best[1] if best else None, metric):
            best = _epochs(history)[index], scores
    return best[0] if best else None


def _draw_panel(axes: Axes, history: Sequence[Epoch], curves: Mapping[str, dict[str, Any]], best: int | None) -> None:
    epochs = _epochs(history)
    look: dict[str, Any] = {"lw": 1, "marker": "o", "mew": 0, "markersize": 2.5 if len(epochs) <= FEW_EPOCHS else 1}
    drawn = False
    for key, own in curves.items():
        values_E = np.array([_finite(record.get(key)) for record in history], dtype=float)
        drawn |= bool(np.isfinite(values_E).any())
        axes.plot(epochs, values_E, **look, **own)
    if best is not None:
        axes.axvline(best, lw=0.75, **BEST)
    if epochs:
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    if len(epochs) > FEW_TICKS:
        axes.xaxis.set_major_locator(MaxNLocator(FEW_TICKS if max(epochs) < 100 else 2, integer=True))
    else:
        axes.set_xticks(epochs)
    if not drawn:
        say_instead(axes, "not\nrecorded")
        axes.set_yticks([])
        return
    low, high = axes.get_ylim()
    missing = max(0, LEAST_SPAN - (high - low))
    axes.set_ylim(low - missing / 2, high + missing / 2)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _epochs(history: Sequence[Epoch]) -> list[int]:
    """Return the epochs' numbers; their place in the sequence where a record has none."""
    numbers = (record.get("epoch") for record in history)
    return [place if number is None else int(number) for place, number in enumerate(numbers, start=1)]


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
