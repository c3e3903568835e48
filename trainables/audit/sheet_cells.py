"""What all contact sheets share: a grid without axes, a slice in a cell, the end of a file's name."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_CELL_IN = 1.35
_NAME_CHARS = 22


def grid(rows: int, widths: Sequence[float], title: str) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes_RC, without ticks and frames; `widths` are those of the columns, 1 is a cell."""
    size_in = (0.5 + _CELL_IN * sum(widths), 0.5 + (_CELL_IN + 0.2) * rows)
    figure = Figure(figsize=size_in, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes_RC = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths)
    for axes in axes_RC.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure, axes_RC


def show(axes: Axes, slice_HW: np.ndarray) -> None:
    """Show a slice as it is: uint8 is 0..255, floats are 0..1, nothing is stretched for the eye."""
    top = 255 if slice_HW.dtype == np.uint8 else 1.0
    axes.imshow(slice_HW, cmap="gray", vmin=0, vmax=top, interpolation="antialiased")


def name_cell(axes: Axes, name: str) -> None:
    """Write a file's name above its cell."""
    axes.set_title(_short(name), fontsize=6, pad=2, y=1, parse_math=False)  # names hold "$", too


def size_cell(axes: Axes, slice_HW: np.ndarray) -> None:
    """Write a slice's size below its cell."""
    axes.set_xlabel(f"{slice_HW.shape[1]} x {slice_HW.shape[0]} px", fontsize=6, labelpad=2)


def name_row(axes: Axes, name: str, is_empty: bool = False) -> None:
    """Write what a row shows beside its first cell, and there that it shows none."""
    axes.set_ylabel(name, fontsize=9, parse_math=False)
    if is_empty:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)


def _short(name: str) -> str:
    """Return the end of a long name: beginnings are alike, numbers stand at the end."""
    return name if len(name) <= _NAME_CHARS else "..." + name[-_NAME_CHARS + 3 :]
