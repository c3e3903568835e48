"""Contact sheets of cases of two images: both stand side by side, raw and on their way to a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from trainables.audit.sheet_cells import grid, name_cell, name_row, show, size_cell

_GAP = 0.15  # of a cell, between one case and the next


@dataclass(frozen=True)
class RawPair:
    """One case: two slices_HW (uint8, any size), the names of their files and of its class."""

    slices: tuple[np.ndarray, np.ndarray]
    names: tuple[str, str]
    label: str


def pair_samples_figure(samples: Sequence[RawPair], classes: Sequence[str], title: str) -> Figure:
    """Return a figure: one row per class, each case its two raw slices next to each other with their files' names."""
    rows = [[sample for sample in samples if sample.label == name] for name in classes]
    widths = _widths(max(1, *(len(own) for own in rows)))
    figure, axes_RC = grid(len(rows), widths, title)
    for row, own in enumerate(rows):
        for number, sample in enumerate(own):
            for side in (0, 1):
                axes = axes_RC[row, 3 * number + side]
                show(axes, sample.slices[side])
                name_cell(axes, sample.names[side])
        name_row(axes_RC[row, 0], classes[row], is_empty=not own)
    return figure


def pair_preprocessing_figure(
    raw: Sequence[RawPair],
    preprocessed_N2HW: np.ndarray,
    augmented_NA2HW: np.ndarray,
    modalities: tuple[str, str],
    title: str,
) -> Figure:
    """Return a figure: per row a case as decoded (own aspects), the squares that a model gets, A augmented draws.

    uint8 is 0..255, floats are 0..1; nothing is stretched for the eye.
    """
    draws = augmented_NA2HW.shape[1]
    heads = ["as decoded", "preprocessed", *(f"draw {draw + 1}" for draw in range(draws))]
    figure, axes_RC = grid(len(raw), _widths(len(heads)), title)
    for row, sample in enumerate(raw):
        pairs = [sample.slices, preprocessed_N2HW[row], *augmented_NA2HW[row]]
        for number, pair in enumerate(pairs):
            for side, cell_HW in enumerate(pair):
                show(axes_RC[row, 3 * number + side], cell_HW)
                size_cell(axes_RC[row, 3 * number + side], cell_HW)
        name_row(axes_RC[row, 0], sample.label)
    for number, head in enumerate(heads):
        for side, modality in enumerate(modalities):
            axes_RC[0, 3 * number + side].set_title(f"{modality} {head}", fontsize=7, y=1, parse_math=False)
    return figure


def _widths(num_pairs: int) -> list[float]:
    """Return the widths of two cells per pair and a gap between pairs."""
    return [1, 1, *[_GAP, 1, 1] * (num_pairs - 1)]
