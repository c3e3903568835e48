"""Every explainer beside maps that know nothing of the model, as one figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, shortened, wrapped
from trainables.evaluation.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    WIDTH_IN,
    new_figure,
    save,
    say_instead,
    style_axes,
    title_above,
    words_below,
)
from trainables.explain.proof import FIGURES
from trainables.explain.proof_summary import ExplainerSummary

TITLES = {
    "pointing": "pointing",
    "energy_within": "energy in lesion",
    "energy_outside": "energy outside head",
    "early_deletion": "early deletion",
    "deletion": "deletion area",
    "insertion": "insertion area",
    "road_morf": "ROAD, most first",
    "road_lerf": "ROAD, least first",
}
MARKS: dict[str, dict[str, Any]] = {
    "map": {"marker": "o", "color": BLUE, "label": "the map"},
    "random": {"marker": "x", "color": ORANGE, "label": "random map"},
    "centre": {"marker": "s", "color": GREY, "label": "centre, whatever the image", "fillstyle": "none"},
}
LABEL_IN = 0.85


def draw_proof(path: Path, summaries: Sequence[ExplainerSummary], title: str, further: Sequence[str] = ()) -> None:
    """Write a PNG: for each explainer the mean of every figure there is, with its controls'; below it `further`."""
    save(proof_figure(summaries, title, further), path)


def proof_figure(summaries: Sequence[ExplainerSummary], title: str, further: Sequence[str] = ()) -> Figure:
    """Return the figure of `draw_proof`."""
    known = [name for name in FIGURES if any(one.all_images["map"][name].value is not None for one in summaries)]
    verdicts = [wrapped(text, WIDTH_IN * 2 - 0.1) for text in [*(one.sentence for one in summaries), *further]]
    figure = new_figure(0, "")
    figure.set_size_inches(WIDTH_IN * 2, max(1.0, 0.28 * len(summaries) + 0.7) + 3 * LINE_IN)
    words_below(figure, "\n".join(verdicts))
    if not known:
        say_instead(figure.add_subplot(), "no map shows positive evidence\nthat is not the same everywhere")
        return figure
    axes_row = figure.subplots(1, len(known), squeeze=False)[0]
    for axes, name in zip(axes_row, known, strict=True):
        _draw_figure(axes, summaries, name)
    for place, axes in enumerate(axes_row):
        names = [shortened(one.explainer, LABEL_IN) for one in summaries] if place == 0 else []
        axes.set_yticks(range(len(summaries)), names or [""] * len(summaries))
        axes.set_ylim(len(summaries) - 0.5, -0.5)
    marks = [Line2D([], [], ls="", ms=4, **mark) for mark in MARKS.values()]
    figure.legend(
        handles=marks,
        loc="outside upper center",
        ncols=len(marks),
        title=wrapped(title, WIDTH_IN * 2 - 0.1),
        fontsize=FONT_PT,
        title_fontsize=FONT_PT,
        frameon=False,
    )
    return figure


def _draw_figure(axes: Axes, summaries: Sequence[ExplainerSummary], name: str) -> None:
    style_axes(axes)
    better = "higher" if FIGURES[name] == "max" else "lower"
    title_above(axes, f"{TITLES[name]}\n({better} is better)", away_pt=3)
    axes.set_xlim(-0.05, 1.05)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    for place, one in enumerate(summaries):
        for source, mark in MARKS.items():
            value = one.all_images[source][name].value
            if value is not None:
                axes.plot([value], [place], ls="", ms=4, mew=0.8, **mark)
