"""Whether attention differs between the true classes: means and spread over cases, as a table and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, short_names, wrapped
from trainables.evaluation.figures.style import CLASS_COLOURS, WIDTH_IN, save, style_axes, words_below
from trainables.explain.attention_statistics import STATISTICS, AttentionRow
from trainables.explain.wide_figures import TEXT_IN, wide_figure

PANEL_IN = 1.35
COLUMNS = 3
DIRECTION_IN = 0.75
LEGEND_COLUMNS = 4
MOST_FOR_LINEAR = 100  # largest value by smallest
MARKERS = "osD^vPX"
SHOWN = {
    "max": "largest weight\n(even shares 1/N)",
    "min": "smallest weight\n(even shares 1/N)",
    "entropy": "entropy / log N\n(1: even)",
    "effective_keys": "effective number\nof keys",
    "top5_mass": "share of the\n5 largest weights",
    "disagreement": "heads disagree\n(divergence, bits)",
}
IN_EVEN_SHARES = ("max", "min")


@dataclass(frozen=True)
class ClassMean:
    """Mean and standard deviation over the cases of a true class; the latter is missing of a single case."""

    true: int
    direction: str
    head: int | None
    cases: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]


def class_means(rows: Sequence[AttentionRow]) -> list[ClassMean]:
    """Return a mean per true class, direction and head (None: all together), classes in the order of their index."""
    kinds = dict.fromkeys((row.direction, row.head) for row in rows)
    means = []
    for true in sorted({row.case.true for row in rows if row.case.true is not None}):
        for direction, head in kinds:
            own = [row for row in rows if (row.case.true, row.direction, row.head) == (true, direction, head)]
            values = {name: [row.values[name] for row in own] for name in own[0].values}
            deviation = {name: float(np.std(ones, ddof=1)) for name, ones in values.items() if len(ones) > 1}
            mean = {name: float(np.mean(ones)) for name, ones in values.items()}
            means.append(ClassMean(true, direction, head, len(own), mean, deviation))
    return means


def class_cells(one: ClassMean, classes: Sequence[str]) -> dict[str, object]:
    """Return a mean as cells of a table; what it lacks is empty."""
    cells: dict[str, object] = {
        "true": classes[one.true],
        "direction": one.direction,
        "head": "all" if one.head is None else one.head,
        "cases": one.cases,
    }
    for name in STATISTICS:
        cells |= {name: one.mean.get(name, ""), f"{name}_sd": one.deviation.get(name, "")}
    return cells


def draw_by_class(path: Path, rows: Sequence[AttentionRow], classes: Sequence[str], num_places: int) -> None:
    """Write a PNG: every statistic of all heads together, classes side by side in each direction."""
    save(by_class_figure(rows, classes, num_places), path)


def by_class_figure(rows: Sequence[AttentionRow], classes: Sequence[str], num_places: int) -> Figure:
    """Return the figure of `draw_by_class`: a point per case, mean and standard deviation beside them."""
    together = [row for row in rows if row.head is None]
    there = sorted({row.case.true for row in together if row.case.true is not None})
    directions = list(dict.fromkeys(row.direction for row in together))
    panel_rows, legend_rows = -(-len(SHOWN) // COLUMNS), -(-len(there) // LEGEND_COLUMNS)
    heights = [PANEL_IN] * panel_rows + [legend_rows * 1.5 * LINE_IN]
    figure = wide_figure(sum(heights), "attention by true class")
    grid = figure.add_gridspec(len(heights), COLUMNS, height_ratios=heights)
    panels = [figure.add_subplot(grid[divmod(place, COLUMNS)]) for place in range(len(SHOWN))]
    for axes, (name, label) in zip(panels, SHOWN.items(), strict=True):
        scale = num_places if name in IN_EVEN_SHARES else 1
        for place, direction in enumerate(directions):
            for nth, true in enumerate(there):
                own = [row for row in together if (row.direction, row.case.true) == (direction, true)]
                values_N = scale * np.array([row.values[name] for row in own])
                _draw_class(axes, place + (nth + 0.5) / len(there) * 0.8 - 0.4, 0.8 / len(there), values_N, nth)
        axes.set_xticks(range(len(directions)), short_names(directions, DIRECTION_IN), fontsize=FONT_PT)
        axes.set_xlim(-0.5, len(directions) - 0.5)
        axes.set_ylabel(label, fontsize=FONT_PT, labelpad=2)
        _scale(axes, [scale * row.values[name] for row in together])
        style_axes(axes)
    _draw_legend(figure.add_subplot(grid[-1, :]), there, classes, together)
    lines = (
        "A point per case, all heads together; bars are mean and standard deviation.",
        f"mean: always 1/N = {1 / num_places:.4f}, as the weights of {num_places} keys sum to 1; it tells nothing.",
    )
    words_below(figure, "\n".join(wrapped(line, TEXT_IN) for line in lines))
    return figure


def _draw_class(axes: Axes, middle: float, room: float, values_N: np.ndarray, nth: int) -> None:
    """Draw the cases in the left of the room, mean and standard deviation in its right."""
    colour, marker = CLASS_COLOURS[nth % len(CLASS_COLOURS)], MARKERS[nth % len(MARKERS)]
    # spread in the order of the cases, so that equal values do not hide each other; no random numbers in a figure
    across_N = middle + room * (np.linspace(-0.35, 0.05, len(values_N)) if len(values_N) > 1 else np.array([-0.15]))
    axes.scatter(across_N, values_N, s=5, color=colour, marker=marker, alpha=0.6, linewidths=0)
    deviation = float(np.std(values_N, ddof=1)) if len(values_N) > 1 else 0.0
    axes.errorbar(
        [middle + 0.28 * room], [values_N.mean()], yerr=[deviation], color=colour, marker="_", markersize=5,
        markeredgewidth=1, elinewidth=0.7, capsize=0,
    )  # fmt: skip


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """Let values of very different sizes be told apart, as the smallest weights of a trained model are."""
    if min(values) > 0 and max(values) > MOST_FOR_LINEAR * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.minorticks_off()
    else:
        axes.locator_params(axis="y", nbins=4)
        axes.yaxis.get_offset_text().set_fontsize(FONT_PT)


def _draw_legend(axes: Axes, there: Sequence[int], classes: Sequence[str], together: Sequence[AttentionRow]) -> None:
    columns = min(LEGEND_COLUMNS, len(there))
    cases = [len({row.case.name for row in together if row.case.true == true}) for true in there]
    names = short_names([classes[true] for true in there], 2 * WIDTH_IN / columns - 1)
    handles = [
        Line2D([], [], linestyle="none", markersize=3, marker=MARKERS[nth % len(MARKERS)],
               color=CLASS_COLOURS[nth % len(CLASS_COLOURS)], label=f"{name} ({count} cases)")
        for nth, (name, count) in enumerate(zip(names, cases, strict=True))
    ]  # fmt: skip
    axes.axis("off")
    axes.legend(handles=handles, loc="center", ncols=columns, fontsize=FONT_PT, frameon=False, handletextpad=0.2)
