"""Contact sheets of a data set: raw samples of each class, and samples before and after preprocessing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainables.audit.sheet_cells import grid, name_cell, name_row, show, size_cell
from trainables.figure_files import save_quietly


def draw_sample_sheet(
    path: Path, samples: Sequence[tuple[np.ndarray, str, str]], classes: Sequence[str], title: str
) -> None:
    """Write a PNG: one row per class, each sample a raw slice_HW (uint8, any size), its class and its file's name."""
    rows = {name: [sample for sample in samples if sample[1] == name] for name in classes}
    columns = max(1, *(len(own) for own in rows.values()))
    figure, axes_RC = grid(len(rows), [1] * columns, title)
    for row, (name, own) in enumerate(rows.items()):
        for column in range(columns):
            axes = axes_RC[row, column]
            if column < len(own):
                show(axes, own[column][0])
                name_cell(axes, own[column][2])
        name_row(axes_RC[row, 0], name, is_empty=not own)
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
    figure, axes_RC = grid(len(raw), [1] * len(heads), title)
    for row, slice_HW in enumerate(raw):
        cells = [slice_HW, preprocessed_NHW[row], *augmented_NAHW[row]]
        for column, cell_HW in enumerate(cells):
            show(axes_RC[row, column], cell_HW)
            size_cell(axes_RC[row, column], cell_HW)
        name_row(axes_RC[row, 0], labels[row])
    for column, head in enumerate(heads):
        axes_RC[0, column].set_title(head, fontsize=8, y=1)
    save_quietly(figure, path)


def choose_samples(labels: Sequence[int], num_classes: int, per_class: int, seed: int) -> list[int]:
    """Return `per_class` indices of each class (all where there are fewer), the same ones for a seed, in order."""
    labels_N, rng = np.asarray(labels), np.random.default_rng(seed)
    chosen = []
    for label in range(num_classes):
        own = np.flatnonzero(labels_N == label)
        chosen += sorted(rng.permutation(own)[:per_class].tolist())
    return chosen
