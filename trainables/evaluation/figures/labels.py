"""Names that others chose, made to fit: measured in inches, shortened in the middle, free of markup."""

from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from trainables.figure_files import quiet_glyphs

FONT_PT = 7.0
LINE_IN = 1.25 * FONT_PT / 72
ELLIPSIS = "…"
HINTING = 1.04  # what a rendered line may be wider than its outline

METRIC_TITLES = {"auroc": "AUROC", "mcc": "MCC", "ece": "ECE", "ece_adaptive": "adaptive ECE", "macro_f1": "macro F1"}


def metric_title(metric: str) -> str:
    """Return how a metric of METRICS is written in a figure."""
    return METRIC_TITLES.get(metric, metric.replace("_", " "))


@lru_cache(maxsize=4096)  # the figures of an evaluation share title and names
def width_in(text: str) -> float:
    """Return how wide one line is at FONT_PT."""
    with quiet_glyphs():
        width_pt, _, _ = TextToPath().get_text_width_height_descent(text, FontProperties(size=FONT_PT), ismath=False)
    return float(width_pt) / 72 * HINTING


def shortened(text: str, most_in: float) -> str:
    """Return one line of most_in at most: what does not fit goes from the middle. Nothing in it is markup."""
    return _escaped(_fitting(_printable(text), most_in))


def short_names(names: Sequence[str], most_in: float) -> list[str]:
    """Return each name `shortened`; numbered where two of them would look the same."""
    short = [shortened(name, most_in) for name in names]
    if len(set(short)) == len(set(names)):
        return short
    return [shortened(f"{k + 1} {name}", most_in) for k, name in enumerate(names)]


def wrapped(text: str, most_in: float) -> str:
    """Return lines of most_in at most, broken between words; a longer word is shortened."""
    lines: list[str] = []
    for word in _printable(text).split():
        together = f"{lines[-1]} {word}" if lines else word
        if lines and width_in(together) <= most_in:
            lines[-1] = together
        else:
            lines.append(_fitting(word, most_in))
    return "\n".join(_escaped(line) for line in lines)


def _fitting(text: str, most_in: float) -> str:
    if width_in(text) <= most_in:
        return text
    too_many = bisect(range(len(text)), most_in, key=lambda kept: width_in(_keeping(text, kept)))
    return _keeping(text, max(too_many - 1, 0))


def _keeping(text: str, kept: int) -> str:
    return text[: (kept + 1) // 2] + ELLIPSIS + text[len(text) - kept // 2 :]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


def _escaped(text: str) -> str:
    """Keep matplotlib from reading a formula between two dollar signs."""
    return text.replace("$", r"\$")
