"""The leaderboard of every trial, as the terminal ranks it; scripts sort and filter what stands here."""

from collections.abc import Mapping, Sequence

from orchestrator.ranking import changed_from_published, score_notes, settings_text
from orchestrator.report.content import NONE, ReportContent, TrialLine, title_of
from orchestrator.report.learning_curves import COLOURS, ENDS
from orchestrator.report.markup import Markup, joined, tag
from orchestrator.space import Scalar

FIRST_ROWS = 50  # seen, and printed, until all are asked for


def draw_leaderboard(content: ReportContent) -> Markup:
    """Return the table with what all trials of an architecture have in common above it."""
    if not content.lines:
        return tag("p", {"class": "quiet"}, "No trial was suggested yet.")
    common = {name: _common(content.of_architecture(name)) for name in content.architectures}
    numeric = ["epochs", "seconds", "M parameters"]
    titles = ["rank", "trial", "architecture", *content.score_titles, *numeric, "state, and why", "changed"]
    heads = [
        tag("th", {"scope": "col", "class": "n" if place in (0, 1) or 3 <= place < len(titles) - 2 else None}, title)
        for place, title in enumerate(titles)
    ]
    rows = [_row(line, place, content, common[line.trial.architecture]) for place, line in enumerate(content.lines)]
    grid = tag(
        "table",
        {"id": "leaderboard-table", "class": "ranked"},
        tag("thead", None, tag("tr", None, *heads)),
        tag("tbody", None, *rows),
    )
    return joined([_said(content, common), _controls(content), tag("div", {"class": "box tall"}, grid), _more(content)])


def _row(line: TrialLine, place: int, content: ReportContent, common: Mapping[str, Scalar]) -> Markup:
    trial = line.trial
    mark = ENDS.get(trial.state, "ring")
    colour = content.architectures.index(trial.architecture) % COLOURS
    parameters = trial.epochs[0].metrics.get("perf/parameters") if trial.epochs else None
    is_winner = content.state.winner == line.number
    changed = {name: value for name, value in changed_from_published(trial).items() if name not in common}
    share = content.importances.get(trial.architecture, {})
    telling = sorted(changed, key=lambda name: (-share.get(name, 0.0), name not in line.chosen))
    own = settings_text({name: changed[name] for name in telling})
    own = own or ("nothing else" if common else "published defaults")
    numbers = [
        *line.scores,
        str(len(trial.epochs)),
        f"{trial.compute_s:,.1f}",
        NONE if parameters is None else f"{parameters / 1e6:.3g}",
    ]
    role = "winner" if is_winner else ("finalist" if line.number in content.state.finalists else "")
    return tag(
        "tr",
        {"data-t": line.number, "class": " ".join(filter(None, [role, "" if place < FIRST_ROWS else "more"])) or None},
        tag("td", {"class": "n"}, line.rank),
        tag("th", {"scope": "row", "class": "n"}, line.number),
        tag("td", None, tag("i", {"class": f"swatch a{colour}"}), trial.architecture, _badge(role)),
        *(tag("td", {"class": "n"}, text) for text in numbers),
        tag("td", {"class": "words"}, tag("span", {"class": f"state {mark}"}, trial.state), " ", trial.reason),
        tag("td", {"class": "words wide"}, tag("div", None, own)),
    )


def _badge(role: str) -> Markup | None:
    return tag("span", {"class": "badge"}, role) if role else None


def _common(lines: list[TrialLine]) -> dict[str, Scalar]:
    """Return the changes that all trials of an architecture share: the preset's, or those of --set."""
    if len(lines) < 2:
        return {}
    first = changed_from_published(lines[0].trial)
    return {
        name: value
        for name, value in first.items()
        if all(line.trial.hyperparameters.get(name) == value for line in lines)
    }


def _said(content: ReportContent, common: Mapping[str, Mapping[str, Scalar]]) -> Markup:
    metric = title_of(content.metric)
    said = f"Ranked by validation {metric} of each trial's best epoch; trials with the same score share a rank (2=). "
    said += "Only finalists have seen the test images. “Changed” is what differs from the published defaults."
    shared = [
        tag("li", None, tag("b", None, name), " everywhere: ", tag("code", None, settings_text(values)))
        for name, values in common.items()
        if values
    ]
    return joined(
        [
            tag("p", {"class": "small"}, said),
            *(tag("p", {"class": "small"}, f"{note}.") for note in score_notes(content.rows, content.metric)),
            tag("ul", {"class": "small"}, *shared) if shared else None,
        ]
    )


def _controls(content: ReportContent) -> Markup:
    """Return the filters; without scripts they are not shown."""
    states = sorted({line.trial.state for line in content.lines})
    used = [name for name in content.architectures if content.of_architecture(name)]

    def choice(key: str, every: str, names: Sequence[str]) -> Markup:
        options = [tag("option", {"value": ""}, every), *(tag("option", {"value": name}, name) for name in names)]
        return tag("select", {"id": key, "aria-label": every}, *options)

    return tag(
        "div",
        {"class": "controls script"},
        choice("of-architecture", "all architectures", used),
        choice("of-state", "all states", states),
        tag("output", {"id": "shown-rows"}, ""),
    )


def _more(content: ReportContent) -> Markup | None:
    if len(content.lines) <= FIRST_ROWS:
        return None
    words = f"The first {FIRST_ROWS} of {len(content.lines):,} trials are shown."
    button = tag("button", {"type": "button", "id": "all-rows"}, f"Show all {len(content.lines):,}")
    return tag("p", {"class": "controls script", "id": "more-rows"}, words, " ", button)
