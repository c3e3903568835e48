"""Pictures inside an HTML file, and the figure of how well each feature tells the class."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from trainables.audit.shortcuts import Shortcut
from trainables.figure_files import save_quietly

# Okabe and Ito: told apart by colour-blind readers and in grey print
_SEEN, _UNSEEN, _QUIET, _LUCK = "#D55E00", "#0072B2", "#BBBBBB", "#000000"


def as_data_uri(png: bytes) -> str:
    """Return a PNG as an address that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def png_of(image_HW: np.ndarray) -> bytes:
    """Return the PNG of a grey uint8 image."""
    content = io.BytesIO()
    Image.fromarray(image_HW).save(content, "PNG", optimize=True)
    return content.getvalue()


def strip(images_NHW: np.ndarray, gap_px: int = 2) -> np.ndarray:
    """Return strip_HW: the images side by side, white between them."""
    padded_NHW = np.pad(images_NHW, ((0, 0), (0, 0), (0, gap_px)), constant_values=255)
    return np.concatenate(list(padded_NHW), axis=1)[:, : -gap_px or None]


def draw_shortcuts(shortcuts: Sequence[Shortcut]) -> bytes:
    """Return a PNG: a bar per feature from chance to its score, and a mark where luck ends; best on top in each part.

    Orange bars are shortcuts that a model can see, blue ones those that never reach a model, grey ones are none.
    """
    parts = list(dict.fromkeys(shortcut.modality for shortcut in shortcuts))
    ordered = [
        one for part in parts for one in sorted((s for s in shortcuts if s.modality == part), key=lambda s: -s.score)
    ]
    figure = Figure(figsize=(8.4, 1.5 + 0.23 * len(ordered)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for row, one in enumerate(ordered):
        colour = (_SEEN if one.in_pixels else _UNSEEN) if one.is_shortcut else _QUIET
        axes.barh(row, one.score - one.chance, left=one.chance, height=0.7, color=colour)
        axes.plot([one.luck, one.luck], [row - 0.42, row + 0.42], color=_LUCK, linewidth=1.4)
        axes.text(1.01, row, f"{one.score:.0%}", va="center", fontsize=8)
        if row and one.modality != ordered[row - 1].modality:
            axes.axhline(row - 0.5, color="#888888", linewidth=0.6)
    chance = float(np.mean([one.chance for one in ordered]))
    axes.axvline(chance, color=_LUCK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(ordered)), labels=[one.name for one in ordered], fontsize=8, parse_math=False)
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xlim(max(0.0, min(min(one.score, one.chance) for one in ordered) - 0.05), 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("balanced accuracy, cross-validated, of telling the class that is told best from the others")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.plot([], [], color=_SEEN, linewidth=7, label="shortcut that a model can see")
    axes.plot([], [], color=_UNSEEN, linewidth=7, label="shortcut that never reaches a model")
    axes.plot([], [], color=_QUIET, linewidth=7, label="no shortcut")
    axes.plot([], [], color=_LUCK, linewidth=1.4, label="as far as luck goes")
    axes.plot([], [], color=_LUCK, linewidth=0.8, linestyle=":", label="chance")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    content = io.BytesIO()
    save_quietly(figure, content)
    return content.getvalue()
