"""Where a value stands on an axis, and which values have a tick."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_FAR = 1.5  # spans of the middle nine tenths beyond which a value is out of the picture


@dataclass(frozen=True)
class Scale:
    """From values to user units of an SVG; `start` is where `low` stands."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value stands, at an end of the axis where it is beyond that."""
        low, high, inside = (math.log(v) if self.log else v for v in (self.low, self.high, self._inside(value)))
        share = (inside - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values inside the axis, `most` at most."""
        return _log_ticks(self.low, self.high, most) if self.log else _round_ticks(self.low, self.high, most)

    def _inside(self, value: float) -> float:
        return min(max(value, self.low), self.high)


def fitting_range(values: Iterable[float], higher_is_better: bool) -> tuple[float, float, bool]:
    """Return low and high of an axis, and whether bad values are cut off: few that are far out would flatten all."""
    ordered = sorted(values)
    if not ordered:
        return 0.0, 1.0, False
    low, high = ordered[0], ordered[-1]
    inner_low, inner_high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    room = _FAR * (inner_high - inner_low)
    cut = False
    if room and higher_is_better and low < inner_low - room:
        low, cut = inner_low - room, True
    if room and not higher_is_better and high > inner_high + room:
        high, cut = inner_high + room, True
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    return low, high, cut


def short(value: float) -> str:
    """Return a tick's label."""
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.4g}"


def _round_ticks(low: float, high: float, most: int) -> list[float]:
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * index, 12) for index in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1, every)] or [low, high]
