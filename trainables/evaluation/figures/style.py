"""How every figure looks: as wide as half a page's text, letters of 7 pt at that width, Okabe and Ito's colours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from trainables.evaluation.figures.labels import FONT_PT, LINE_IN, wrapped
from trainables.figure_files import save_quietly

WIDTH_IN = 8 / 2.54
DPI = 300

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
CLASS_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)  # Okabe and Ito 2008; their yellow fades in print
GREY = "0.45"


def new_figure(height_in: float, title: str) -> Figure:
    """Return an empty figure of height_in below its title."""
    lines = wrapped(title, WIDTH_IN - 0.1)
    height_in += LINE_IN * (lines.count("\n") + 1)
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(lines, fontsize=FONT_PT)
    return figure


def style_axes(axes: Axes) -> None:
    """Thin lines, small letters, no frame where there is no scale."""
    axes.tick_params(labelsize=FONT_PT, width=0.5, length=2, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.5)


def title_above(axes: Axes, title: str, away_pt: float = 2.5) -> None:
    """Write above the axes, which have nothing of their own there."""
    # without y, matplotlib measures every letter of the axes six times a figure to find a free height
    axes.set_title(title, fontsize=FONT_PT, pad=away_pt, y=1)


def say_instead(axes: Axes, reason: str) -> None:
    """Write into the axes why nothing is drawn there."""
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", fontsize=FONT_PT)


def legend_below(figure: Figure, lines: Sequence[Line2D], title: str | None = None, columns: int = 1) -> None:
    """Put a legend under the axes: an entry per line, by its label."""
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=columns,
        title=title,
        fontsize=FONT_PT,
        title_fontsize=FONT_PT,
        frameon=False,
        labelspacing=0.25,
        columnspacing=1,
        handlelength=2.2,
        borderaxespad=0.2,
    )


def class_line(k: int) -> dict[str, Any]:
    """Return colour and dashes of the k-th class; no two of fourteen are the same."""
    return {"color": CLASS_COLOURS[k % len(CLASS_COLOURS)], "linestyle": "--" if k >= len(CLASS_COLOURS) else "-"}


def words_below(figure: Figure, lines: str) -> None:
    """Make the figure taller for lines of text under everything else."""
    own_in = LINE_IN * (lines.count("\n") + 1.5)
    figure.set_figheight(figure.get_figheight() + own_in)
    share = own_in / figure.get_figheight()
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(rect=(0, share, 1, 1 - share))
    figure.text(0.01, share, lines, va="top", fontsize=FONT_PT, linespacing=1.2)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    save_quietly(figure, path)
