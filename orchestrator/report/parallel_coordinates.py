"""Every trial of an architecture as a line from its score through its hyperparameters, the most important first."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.content import ReportContent, TrialLine, counted, shown, title_of
from orchestrator.report.markup import Markup, joined, tag
from orchestrator.report.scales import Scale, fitting_range, short
from orchestrator.space import Choice, Fixed, Parameter, Scalar

STEPS = 9  # of the colour scale: q0 the worst, q8 the best
TOP, BOTTOM, ABSENT, HEIGHT = 52, 272, 298, 312
SIDE = 26
_LEAST_GAP, _LETTER = 92, 6.6  # between two axes; width of a letter
_LONGEST = 16  # letters of a label
_JITTER = 7.0
_GOLDEN = 0.618033988749895


@dataclass(frozen=True)
class Axis:
    """One axis: numbers on a scale or values by name; `is_conditional` where not every trial has the parameter."""

    name: str
    scale: Scale
    names: Sequence[Scalar] = ()
    is_conditional: bool = False

    def at(self, value: Scalar | None, trial: int) -> float:
        """Return where a value stands; trials with the same name are spread a little, the same way on every axis."""
        if value is None:
            return ABSENT
        if not self.names:
            return self.scale.at(float(value))
        gap = abs(self.scale.end - self.scale.start) / max(len(self.names) - 1, 1)
        spread = (trial * _GOLDEN % 1 - 0.5) * 2 * min(_JITTER, gap / 5)
        return self.scale.at(self.names.index(value)) + spread

    def labels(self) -> list[tuple[float, str]]:
        """Return texts with where they stand."""
        if self.names:
            return [(self.scale.at(place), shown(name)) for place, name in enumerate(self.names)]
        ends = [self.scale.low, self.scale.high]
        inner = [
            tick for tick in self.scale.ticks(4) if all(abs(self.scale.at(tick) - self.scale.at(e)) > 16 for e in ends)
        ]
        return [(self.scale.at(value), short(value)) for value in [*ends, *inner]]


def draw_parallel_coordinates(content: ReportContent, architecture: str) -> Markup | None:
    """Return the figure of one architecture; None where it has no trial with a score, or nothing was searched."""
    lines = [line for line in content.of_architecture(architecture) if _score(line, content) is not None]
    axes = _axes(content, architecture)
    if not lines or not axes:
        return None
    scores = [score for line in lines if (score := _score(line, content)) is not None]
    low, high, is_cut = fitting_range(scores, content.state.plan.direction == "max")
    first = Axis(content.metric, Scale(low, high, BOTTOM, TOP))
    gap = max(_LEAST_GAP, max(min(len(axis.name), _LONGEST) for axis in axes) * _LETTER + 12)
    width = SIDE * 2 + gap * len(axes) + 40
    x_of = [SIDE + 14 + gap * place for place in range(len(axes) + 1)]
    has_absent = any(axis.is_conditional for axis in axes)
    worse = _counts_of_worse(scores, content.state.plan.direction == "max")
    drawn = [
        _path(
            line,
            [first, *axes],
            x_of,
            score,
            step_of(worse[score], len(scores)),
            line.number in content.state.finalists,
        )
        for line, score in zip(reversed(lines), reversed(scores), strict=True)
    ]
    drawing = tag(
        "svg",
        {
            "viewBox": f"0 0 {width:.0f} {HEIGHT if has_absent else BOTTOM + 14}",
            "class": "chart parallel" if len(lines) > 40 else "chart parallel few",
            "style": f"--w:{width:.0f}px",
            "role": "img",
            "aria-label": f"hyperparameters of {counted(len(lines), 'trial')} of {architecture}",
        },
        *drawn,
        tag("g", {"class": "hot"}),
        *(_axis(axis, x) for axis, x in zip([first, *axes], x_of, strict=True)),
    )
    said = [f"{counted(len(lines), 'trial')} of {architecture}, the validation {title_of(content.metric)} on the left."]
    if has_absent:
        said.append("At the foot: the parameter is not in force for that trial.")
    said.append("Scores far below are drawn at the end." if is_cut else "")
    return tag(
        "figure",
        {"class": "wide", "data-parallel": architecture},
        _colour_key(content, scores),
        tag("div", {"class": "box"}, drawing),
        tag("figcaption", None, " ".join(part for part in said if part)),
    )


def step_of(worse: int, trials: int) -> int:
    """Return the step of the colour scale for a trial with so many worse ones: a ninth of the trials on each."""
    return min(worse * STEPS // max(trials - 1, 1), STEPS - 1)


def _score(line: TrialLine, content: ReportContent) -> float | None:
    return line.trial.validation.get(content.metric)


def _axes(content: ReportContent, architecture: str) -> list[Axis]:
    """Return the searched parameters, the most important first where that is known."""
    space = content.state.plan.architectures[architecture]
    share = content.importances.get(architecture, {})
    names = [name for name, parameter in space.items() if not isinstance(parameter, Fixed)]
    names.sort(key=lambda name: -share.get(name, 0.0))
    lines = content.of_architecture(architecture)
    seen = {name: [line.chosen[name] for line in lines if name in line.chosen] for name in names}
    return [_axis_of(name, space[name], len(seen[name]) < len(lines)) for name in names if seen[name]]


def _axis_of(name: str, parameter: Parameter, is_conditional: bool) -> Axis:
    if isinstance(parameter, Choice):
        places = Scale(0, len(parameter.choices) - 1, BOTTOM - 8, TOP + 8)
        return Axis(name, places, parameter.choices, is_conditional)
    assert not isinstance(parameter, Fixed)
    scale = Scale(float(parameter.low), float(parameter.high), BOTTOM, TOP, parameter.log)
    return Axis(name, scale, is_conditional=is_conditional)


def _counts_of_worse(scores: Sequence[float], higher_is_better: bool) -> dict[float, int]:
    """Return score -> how many are worse; the same for the same score."""
    counts: dict[float, int] = {}
    for place, score in enumerate(sorted(scores, reverse=not higher_is_better)):
        counts.setdefault(score, place)
    return counts


def _path(line: TrialLine, axes: list[Axis], x_of: list[float], score: float, step: int, is_finalist: bool) -> Markup:
    values = [score, *(line.chosen.get(axis.name) for axis in axes[1:])]
    heights = [axis.at(value, line.number) for axis, value in zip(axes, values, strict=True)]
    points = "L".join(f"{x:.0f} {y:.1f}" for x, y in zip(x_of, heights, strict=True))
    return tag(
        "path", {"class": f"l q{step}{' best' if is_finalist else ''}", "data-t": line.number, "d": f"M{points}"}
    )


def _axis(axis: Axis, x: float) -> Markup:
    """Return an axis with its labels, and the strip that can be brushed."""
    name = axis.name if len(axis.name) <= _LONGEST else f"{axis.name[: _LONGEST - 1]}…"
    foot = f"M{x - 4:.0f} {ABSENT}h8" if axis.is_conditional else ""
    labels = [
        tag("text", {"x": x + 6, "y": round(y, 1)}, text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
        for y, text in axis.labels()
    ]
    return tag(
        "g",
        {"class": "axis", "data-x": round(x)},
        tag("title", None, axis.name),
        tag("path", {"d": f"M{x:.0f} {TOP}V{BOTTOM}{foot}"}),
        tag("text", {"class": "name", "x": x, "y": 22}, name),
        tag("text", {"class": "scale", "x": x, "y": 36}, "log scale") if axis.scale.log else None,
        *labels,
        tag("rect", {"class": "brush", "x": x - 9, "y": 0, "width": 18, "height": 0}),
        tag("rect", {"class": "strip", "x": x - 16, "y": TOP - 8, "width": 32, "height": HEIGHT - TOP + 8}),
    )


def _colour_key(content: ReportContent, scores: Sequence[float]) -> Markup:
    """Return the scale; `scores` come best first."""
    steps = joined(tag("i", {"class": f"step q{step}"}) for step in range(STEPS))
    title = f"Colour by rank of the {title_of(content.metric)}: worst {short(scores[-1])}"
    key = tag("span", {"class": "key"}, title, tag("span", {"class": "steps"}, steps), f"best {short(scores[0])}")
    heavy = [tag("span", {"class": "key"}, tag("b", None, "heavy"), "finalist")] if content.state.finalists else []
    return tag("div", {"class": "legend"}, key, *heavy)
