"""What can be asked of any figure: is everything written readable, can every eye tell the colours."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from trainables.evaluation.figures.style import DPI

OKABE_ITO = {"#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}


def seen_texts(figure: Figure) -> list[Text]:
    """Return the texts that are drawn; tick labels beyond the ends of their axis are not."""
    figure.draw_without_rendering()
    unseen = set()
    for axes in figure.axes:
        for place, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = sorted(axis.get_view_interval())
            off = not axes.axison or not axes.get_visible()
            labels = axis.get_ticklabels()
            unseen |= {id(label) for label in labels if off or not low <= label.get_position()[place] <= high}
            unseen |= {id(axis.label)} if off else set()
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and bool(artist.get_text()) and artist.get_visible())
    return [text for text in texts if id(text) not in unseen]


def check_readable(figure: Figure, width_cm: float = 8) -> None:
    """Everything written lies inside the page and on nothing else written, at 7 pt or more at its width in print."""
    assert figure.get_figwidth() == pytest.approx(width_cm / 2.54)
    texts = seen_texts(figure)
    assert texts, "a figure without a word"
    assert min(text.get_fontsize() for text in texts) >= 7
    words = [text.get_text() for text in texts]
    low_N2, high_N2 = np.stack([text.get_window_extent().get_points() for text in texts], axis=1)
    outside_N = (low_N2 < -0.5).any(axis=1) | (high_N2 > figure.bbox.max + 0.5).any(axis=1)
    assert not outside_N.any(), [words[k] for k in np.flatnonzero(outside_N)]
    common_NN2 = np.minimum(high_N2[:, None], high_N2) - np.maximum(low_N2[:, None], low_N2)
    overlap_NN = np.triu((common_NN2 > DPI / 72).all(axis=2), k=1)
    assert not overlap_NN.any(), [(words[a], words[b]) for a, b in np.argwhere(overlap_NN)]


def check_colours(figure: Figure) -> None:
    for axes in figure.axes:
        used = [line.get_color() for line in axes.lines] + [patch.get_facecolor() for patch in axes.patches]
        for colour in used:
            red, green, blue = to_rgb(colour)
            assert red == green == blue or to_hex(colour) in OKABE_ITO, colour


def legend_rows(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]
