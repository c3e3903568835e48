"""The validation metric of every trial over its epochs, as one drawing."""

from collections.abc import Sequence

from orchestrator.report.content import ReportContent, TrialLine, counted, title_of
from orchestrator.report.markup import Markup, joined, tag
from orchestrator.report.scales import Scale, fitting_range, short

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
ENDS = {"completed": "dot", "pruned": "cross", "failed": "triangle"}  # others: a ring
END_WORDS = {
    "dot": "trained to its end",
    "cross": "stopped early",
    "triangle": "failed",
    "ring": "interrupted, or still training",
}
COLOURS = 8
MOST_POINTS = 120_000
_FEW = 40  # trials whose lines can all be seen
_ARM = 3.0  # of a cross, half a triangle, the radius of a ring


def thinned(values: Sequence[object], trials: int) -> list[int]:
    """Return which epochs are drawn, by their place: all where there is room, always the first and the last."""
    step = max(1, -(-len(values) // max(20, MOST_POINTS // max(trials, 1))))
    return sorted({*range(0, len(values), step), len(values) - 1}) if values else []


def draw_learning_curves(content: ReportContent) -> Markup:
    """Return the figure with its legend; a line has a gap where an epoch has no value."""
    series = {line.number: _points(line, content) for line in content.lines}
    values = [value for points in series.values() for _, value in points if value is not None]
    if not values:
        return tag("p", {"class": "quiet"}, "No trial has a validation result yet.")
    low, high, is_cut = fitting_range(values, content.state.plan.direction == "max")
    last = max(epoch for points in series.values() for epoch, _ in points)
    x = Scale(1, max(last, 2), LEFT, WIDTH - RIGHT)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_grid(x, y)]
    colour_of = {name: place % COLOURS for place, name in enumerate(content.architectures)}
    best_on_top = reversed(content.lines)
    parts += [_line(line, series[line.number], x, y, colour_of, content) for line in best_on_top]
    parts.append(tag("g", {"class": "hot"}))
    drawing = tag(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "class": "chart curves" if len(content.lines) > _FEW else "chart curves few",
            "role": "img",
            "aria-label": f"validation {title_of(content.metric)} of {counted(len(content.lines), 'trial')} per epoch",
        },
        *parts,
    )
    cut = " Values far beyond the others are drawn at the edge." if is_cut else ""
    caption = f"Validation {title_of(content.metric)} after each epoch; the epoch runs to the right.{cut}"
    return tag(
        "figure", {"class": "wide", "id": "curves-figure"}, _legend(content), drawing, tag("figcaption", None, caption)
    )


def _points(line: TrialLine, content: ReportContent) -> list[tuple[int, float | None]]:
    metric = f"val/{content.metric}"
    epochs = line.trial.epochs
    values = [epoch.metrics.get(metric) for epoch in epochs]
    return [(epochs[index].epoch, values[index]) for index in thinned(values, len(content.lines))]


def _line(
    line: TrialLine,
    points: list[tuple[int, float | None]],
    x: Scale,
    y: Scale,
    colour_of: dict[str, int],
    content: ReportContent,
) -> Markup:
    """Return one trial's line and its end."""
    path, pen = [], "M"
    end = None
    for epoch, value in points:
        if value is None:
            pen = "M"
            continue
        end = (x.at(epoch), y.at(value))
        path.append(f"{pen}{end[0]:.1f} {end[1]:.1f}")
        pen = "L"
    if end is None:
        return Markup("")
    kind = ENDS.get(line.trial.state, "ring")
    is_finalist = line.number in content.state.finalists
    colour = f"a{colour_of[line.trial.architecture]}"
    role = " best" if is_finalist else (" dim" if kind != "dot" else "")
    mark = {"class": f"end {kind}", "d": _end(kind, *end)}
    group: dict[str, str | int] = {"class": f"t {colour}{role}", "data-t": line.number}
    return tag("g", group, tag("path", {"class": "l", "d": "".join(path)}), tag("path", mark))


def _end(kind: str, x: float, y: float) -> str:
    arm = _ARM
    match kind:
        case "cross":
            return f"M{x - arm:.1f} {y - arm:.1f}l6 6m0-6l-6 6"
        case "triangle":
            return f"M{x:.1f} {y - arm - 1:.1f}l4 7h-8z"
        case "dot":
            return f"M{x:.1f} {y:.1f}h0"
        case _:
            return f"M{x - arm:.1f} {y:.1f}a3 3 0 1 0 6 0a3 3 0 1 0-6 0"


def _grid(x: Scale, y: Scale) -> Markup:
    parts = []
    for value in y.ticks(6):
        at = round(y.at(value), 1)
        parts.append(tag("path", {"d": f"M{LEFT} {at}H{WIDTH - RIGHT}"}))
        parts.append(tag("text", {"x": LEFT - 6, "y": at, "class": "y"}, short(value)))
    for value in (tick for tick in x.ticks(8) if tick == int(tick)):
        at = round(x.at(value), 1)
        parts.append(tag("path", {"d": f"M{at} {HEIGHT - BOTTOM}v4"}))
        parts.append(tag("text", {"x": at, "y": HEIGHT - BOTTOM + 8, "class": "x"}, str(int(value))))
    return tag("g", {"class": "grid"}, *parts)


def _legend(content: ReportContent) -> Markup:
    """Return colours of architectures, then the marks at the ends of lines that occur."""
    lines = [
        tag("span", {"class": f"key a{place % COLOURS}"}, tag("i", {"class": "swatch"}), f"{name} ({len(own)})")
        for place, name in enumerate(content.architectures)
        if (own := content.of_architecture(name))
    ]
    kinds = {ENDS.get(line.trial.state, "ring") for line in content.lines if line.trial.epochs}
    marks = [
        tag(
            "span",
            {"class": "key mark"},
            tag(
                "svg",
                {"viewBox": "0 0 12 12", "aria-hidden": "true"},
                tag("path", {"class": f"end {kind}", "d": _end(kind, 6, 6)}),
            ),
            END_WORDS[kind],
        )
        for kind in END_WORDS
        if kind in kinds
    ]
    heavy = [tag("span", {"class": "key"}, tag("b", None, "heavy"), "finalist")] if content.state.finalists else []
    return tag("div", {"class": "legend"}, joined(lines), joined(marks), joined(heavy))
