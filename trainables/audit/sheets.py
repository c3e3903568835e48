"""Contact sheets of a data set: raw samples of each class, and samples before and after preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainables.figure_files import save_quietly

_CELL_IN = 1.35
_NAME_CHARS = 22


def draw_sample_sheet(
    path: Path, samples: Sequence[tuple[np.ndarray, str, str]], classes: Sequence[str], title: str
) -> None:
    """Write a PNG: one row per class, each sample a raw slice_HW (uint8, any size), its class and its file's name."""
    rows = {name: [sample for sample in samples if sample[1] == name] for name in classes}
    columns = max(1, *(len(own) for own in rows.values()))
    figure, axes_RC = _grid(len(rows), columns, title)
    for row, (name, own) in enumerate(rows.items()):
        for column in range(columns):
            axes = axes_RC[row, column]
            if column < len(own):
                _show(axes, own[column][0])
                axes.set_title(_short(own[column][2]), fontsize=6, pad=2, parse_math=False)  # names hold "$", too
        axes_RC[row, 0].set_ylabel(name, fontsize=9, parse_math=False)
        if not own:
            axes_RC[row, 0].text(0.5, 0.5, "none", ha="center", va="center", transform=axes_RC[row, 0].transAxes)
    save_quietly(figure, path)


def draw_preprocessing_sheet(
    path: Path,
    raw: Sequence[np.ndarray],
    preprocessed_NHW: np.ndarray,
    augmented_NAHW: np.ndarray,
    labels: Sequence[str],
    title: str,
) -> None:
    """Write a PNG: per row a file as decoded (own aspect), the square that a model gets, and A augmented draws of it.

    All arrays share one grey scale per row's kind: uint8 is 0..255, floats are 0..1; nothing is stretched for the eye.
    """
    draws = augmented_NAHW.shape[1]
    heads = ["as decoded", "preprocessed", *(f"augmented, draw {draw + 1}" for draw in range(draws))]
    figure, axes_RC = _grid(len(raw), len(heads), title)
    for row, slice_HW in enumerate(raw):
        cells = [slice_HW, preprocessed_NHW[row], *augmented_NAHW[row]]
        for column, cell_HW in enumerate(cells):
            _show(axes_RC[row, column], cell_HW)
            axes_RC[row, column].set_xlabel(f"{cell_HW.shape[1]} x {cell_HW.shape[0]} px", fontsize=6, labelpad=2)
        axes_RC[row, 0].set_ylabel(labels[row], fontsize=8, parse_math=False)
    for column, head in enumerate(heads):
        axes_RC[0, column].set_title(head, fontsize=8)
    save_quietly(figure, path)


def choose_samples(labels: Sequence[int], num_classes: int, per_class: int, seed: int) -> list[int]:
    """Return `per_class` indices of each class (all where there are fewer), the same ones for a seed, in order."""
    labels_N, rng = np.asarray(labels), np.random.default_rng(seed)
    chosen = []
    for label in range(num_classes):
        own = np.flatnonzero(labels_N == label)
        chosen += sorted(rng.permutation(own)[:per_class].tolist())
    return chosen


def _grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    size_in = (0.5 + _CELL_IN * columns, 0.5 + (_CELL_IN + 0.2) * rows)
    figure = Figure(figsize=size_in, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10, parse_math=False)
    axes_RC = figure.subplots(rows, columns, squeeze=False)
    for axes in axes_RC.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure, axes_RC


def _show(axes: Axes, slice_HW: np.ndarray) -> None:
    top = 255 if slice_HW.dtype == np.uint8 else 1.0
    axes.imshow(slice_HW, cmap="gray", vmin=0, vmax=top, interpolation="antialiased")


def _short(name: str) -> str:
    """Return the end of a long name: beginnings are alike, numbers stand at the end."""
    return name if len(name) <= _NAME_CHARS else "..." + name[-_NAME_CHARS + 3 :]
