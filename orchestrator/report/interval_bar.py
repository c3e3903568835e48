"""A score with its 95 % interval as a small bar."""

from orchestrator.report.markup import Markup, tag
from trainables.evaluation.intervals import Interval

_RANGES = {"mcc": (-1.0, 1.0), "quadratic_kappa": (-1.0, 1.0)}
_ENDLESS = ("log_loss", "brier")  # the Brier score of several classes ends at 2


def interval_bar(metric: str, interval: Interval) -> Markup | None:
    """Return the bar on the metric's whole range; None for a metric without an end, or without a value."""
    value, low, high = interval
    if value is None or metric in _ENDLESS:
        return None
    least, most = _RANGES.get(metric, (0.0, 1.0))

    def at(number: float) -> str:
        return f"{100 * min(max((number - least) / (most - least), 0.0), 1.0):.1f}%"

    inner = [tag("i", {"class": "point", "style": f"left:{at(value)}"})]
    if low is not None and high is not None:
        width = f"{100 * (high - low) / (most - least):.1f}%"
        inner.insert(0, tag("i", {"class": "span", "style": f"left:{at(low)};width:{width}"}))
    return tag("span", {"class": "interval", "aria-hidden": "true"}, *inner)
