"""The finalists: scores on validation and test with their intervals, seeds, folds, the leak-free part, figures."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from orchestrator.journal import FinalistEvaluated
from orchestrator.ranking import (
    LeaderboardRow,
    format_interval,
    format_metric,
    format_spread,
    leak_free,
    with_interval,
)
from orchestrator.report.content import NONE, ReportContent, counted, shown, title_of
from orchestrator.report.interval_bar import interval_bar
from orchestrator.report.markup import Markup, joined, table, tag
from trainables.evaluation.evaluation_files import EXPLANATIONS
from trainables.evaluation.metrics import METRICS

Figures = Mapping[int, Sequence[str]]  # trial -> paths below the figures' folder of that trial
SIDES = ("test", EXPLANATIONS, "validation")  # in this order; others follow by name
_LIKE = ("confusion", "roc", "precision", "reliability", "probability", "classification", "most_wrong")  # likewise


def draw_finalists(content: ReportContent, figures: Figures) -> Markup:
    """Return a part for each finalist, the winner first."""
    finalists = [row for row in content.rows if row.trial_id in content.state.finalists]
    if not finalists:
        return tag("p", {"class": "quiet"}, "No trial was evaluated on the test images yet.")
    finalists.sort(key=lambda row: not row.is_winner)
    return joined(_finalist(content, row, figures.get(row.trial_id, ())) for row in finalists)


def _finalist(content: ReportContent, row: LeaderboardRow, figures: Sequence[str]) -> Markup:
    state = content.state
    event = state.finalists[row.trial_id]
    title = f"Trial {row.trial_id}: {row.architecture}" + (", the winner" if row.is_winner else "")
    pictures = joined(_side(row.trial_id, side, names) for side, names in _by_side(figures).items())
    return tag(
        "article",
        {"class": "finalist"},
        tag("h3", None, title),
        tag("p", {"class": "small"}, _about(row)),
        _scores(content, row, event),
        pictures if figures else tag("p", {"class": "quiet"}, "No figures stand in the sweep's folder."),
        _further(event),
        _settings(row),
    )


def _about(row: LeaderboardRow) -> str:
    said = [
        f"{counted(row.test_images, 'test image')}"
        + (f" from {counted(row.test_groups, 'group')}." if row.test_groups else ".")
    ]
    if row.test_groups:
        said.append("Intervals come from draws of whole groups; a bar runs over the whole range of its metric.")
    if row.leak_free_images is not None and row.leak_free_images < row.test_images:
        said.append(f"Leak-free: {row.leak_free_images:,} of them.")
    if row.leak_free_reason:
        said.append(f"Not told of the leak-free part: {row.leak_free_reason}.")
    return " ".join(said)


def _scores(content: ReportContent, row: LeaderboardRow, event: FinalistEvaluated) -> Markup:
    """Return a row per metric, that which decides first."""
    test = with_interval(event.test, event.test_intervals)
    free = leak_free(event)
    spreads = {over: spread for over, spread in (("over seeds", row.seeds), ("over folds", row.folds)) if spread}
    leaks = row.leak_free_images is not None and row.leak_free_images < row.test_images
    head: list[str] = ["metric", "validation", *spreads, "test [95 % interval]", ""]
    if leaks:
        head += ["leak-free test", ""]
    names = [name for name in METRICS if event.validation.get(name) is not None or event.test.get(name) is not None]
    names.sort(key=lambda name: name != content.metric)
    rows: list[list[str | Markup | None]] = []
    for name in names:
        cells: list[str | Markup | None] = [
            tag("b", None, title_of(name)) if name == content.metric else title_of(name)
        ]
        cells.append(_dashed(format_metric(event.validation.get(name))))
        cells += [_dashed(format_spread(spread.get(name))) for spread in spreads.values()]
        cells += _with_bar(name, test)
        if leaks:
            cells += _with_bar(name, free or {})
        rows.append(cells)
    return table(head, rows)


def _with_bar(
    name: str, scores: Mapping[str, tuple[float | None, float | None, float | None]]
) -> list[str | Markup | None]:
    interval = scores.get(name, (None, None, None))
    return [_dashed(format_interval(interval)), interval_bar(name, interval)]


def _dashed(text: str) -> str:
    return NONE if text == "-" else text


def _by_side(figures: Sequence[str]) -> dict[str, list[str]]:
    """Return folder -> figures, test first."""
    sides: dict[str, list[str]] = {}
    for name in figures:
        sides.setdefault(name.rpartition("/")[0], []).append(name)
    order = {side: place for place, side in enumerate(SIDES)}
    for names in sides.values():
        names.sort(key=_place)
    return dict(sorted(sides.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _place(name: str) -> tuple[int, str]:
    own = name.rpartition("/")[2]
    return next((place for place, start in enumerate(_LIKE) if own.startswith(start)), len(_LIKE)), own


def _side(trial: int, side: str, names: Sequence[str]) -> Markup:
    shots = [
        tag(
            "a",
            {"href": f"figures/{trial:04d}/{quote(name)}"},
            tag(
                "img",
                {"src": f"figures/{trial:04d}/{quote(name)}", "alt": f"{_words(name)}, {side}", "loading": "lazy"},
            ),
        )
        for name in names
    ]
    attributes = {"class": "figures", **({"open": ""} if side != "validation" else {})}
    title = f"{side or 'further'}: {counted(len(names), 'figure')}"
    shape = "shots wide" if side.startswith(EXPLANATIONS) else "shots"  # panels are twice as wide as other figures
    return tag("details", attributes, tag("summary", None, title), tag("div", {"class": shape}, *shots))


def _words(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".png").replace("_", " ")


def _further(event: FinalistEvaluated) -> Markup | None:
    """Return what else was measured: per class and modality, calibration, the operating point."""
    if not event.further:
        return None
    ends = {f"{name}{end}" for name in event.further for end in ("_low", "_high")}
    rows = []
    for name, value in event.further.items():
        if name in ends:
            continue
        low, high = event.further.get(f"{name}_low"), event.further.get(f"{name}_high")
        rows.append([name.replace("final_val/", "validation/"), format_interval((value, low, high))])
    words = "Per class and modality, calibration, operating point, explanations"
    return tag("details", None, tag("summary", None, words), table(["what", "value [95 % interval]"], rows))


def _settings(row: LeaderboardRow) -> Markup:
    rows = [
        [name, shown(value), "changed" if name in row.changed else ""] for name, value in row.hyperparameters.items()
    ]
    return tag("details", None, tag("summary", None, "Hyperparameters"), table(["hyperparameter", "value", ""], rows))
