"""The page as a whole: its parts in order, its style and scripts inside it, nothing from anywhere else."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from orchestrator.report.content import ReportContent, counted
from orchestrator.report.data_audit import Audit, draw_audit
from orchestrator.report.finalists import Figures, draw_finalists
from orchestrator.report.header import draw_header
from orchestrator.report.leaderboard_table import draw_leaderboard
from orchestrator.report.learning_curves import draw_learning_curves
from orchestrator.report.markup import Child, Markup, joined, json_for_script, tag
from orchestrator.report.parallel_coordinates import draw_parallel_coordinates
from orchestrator.report.parameter_importance import HOW, draw_importance
from orchestrator.report.payload import payload_of
from orchestrator.report.repeat import draw_repeat
from orchestrator.sweep_request import SweepRequest

GENERATOR = "orchestrate report"  # by which a folder is known as one of ours
SCRIPTS = ("shared.js", "leaderboard.js", "charts.js", "compare.js")
MOST_COMPARED = 100
_OPEN_ARCHITECTURES = 6  # whose drawings are unfolded


@dataclass(frozen=True)
class Beside:
    """What stands beside the journal: the request, the audit, figures of finalists, and links to the data's pages."""

    asked: SweepRequest | None
    audit: Audit | None
    figures: Figures
    audit_link: str | None
    sheets: Sequence[str] = ()


def page_of(content: ReportContent, beside: Beside) -> str:
    """Return the page."""
    static = files("orchestrator.report") / "static"
    style = (static / "report.css").read_text(encoding="utf-8")
    script = "".join((static / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";(() => {{\n{script}\n}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        None,
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"name": "generator", "content": GENERATOR}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "color-scheme", "content": "light dark"}),
        tag("title", None, f"{content.state.started.sweep_id}: sweep report"),
        tag("style", None, Markup(style)),
        tag(
            "noscript",
            None,
            tag("style", None, Markup(".script{display:none!important}tr.more{display:table-row!important}")),
        ),
    )
    body = tag(
        "body",
        None,
        _navigation(),
        tag("main", None, draw_header(content), *_sections(content, beside), _footer()),
        tag("div", {"id": "tip", "role": "status", "hidden": ""}),
        tag("script", {"type": "application/json", "id": "trials"}, json_for_script(payload_of(content))),
        tag("script", None, Markup(script)),
    )
    kind = content.state.plan.data.kind
    return f"<!doctype html>\n{tag('html', {'lang': 'en', 'data-kind': kind}, head, body).html}\n"


_SECTIONS = {
    "leaderboard": "Leaderboard",
    "curves": "Learning curves",
    "search": "Hyperparameters",
    "compare": "Compare",
    "finalists": "Finalists",
    "data": "Data",
    "repeat": "Repeat it",
}


def _navigation() -> Markup:
    return tag(
        "nav",
        {"aria-label": "parts of this page"},
        *(tag("a", {"href": f"#{key}"}, title) for key, title in _SECTIONS.items()),
    )


def _sections(content: ReportContent, beside: Beside) -> list[Markup]:
    parts: dict[str, Child] = {
        "leaderboard": draw_leaderboard(content),
        "curves": draw_learning_curves(content),
        "search": _search(content),
        "compare": _compare(content),
        "finalists": draw_finalists(content, beside.figures),
        "data": joined([draw_audit(beside.audit, beside.audit_link), _sheets(beside.sheets)]),
        "repeat": draw_repeat(content, beside.asked),
    }
    return [
        tag("section", {"id": key, "class": "script" if key == "compare" else None}, tag("h2", None, title), parts[key])
        for key, title in _SECTIONS.items()
    ]


def _search(content: ReportContent) -> Markup:
    tried = [name for name in content.architectures if content.of_architecture(name)]
    parts = []
    for place, name in enumerate(tried):
        drawing = draw_parallel_coordinates(content, name)
        inner = joined(
            [
                drawing
                or tag("p", {"class": "quiet"}, "Nothing to draw: no trial has a score, or nothing was searched."),
                tag("h4", None, "Importance of the parameters"),
                draw_importance(content, name),
            ]
        )
        title = f"{name}: {counted(len(content.of_architecture(name)), 'trial')}"
        is_open = {"open": ""} if place < _OPEN_ARCHITECTURES else {}
        parts.append(tag("details", {"class": "architecture", **is_open}, tag("summary", None, title), inner))
    if not parts:
        return tag("p", {"class": "quiet"}, "No trial was suggested yet.")
    hint = tag(
        "p",
        {"class": "small script"},
        "Drag along an axis to keep the trials that pass there; tap it to let go. ",
        tag("output", {"id": "brushed"}, ""),
        " ",
        tag("button", {"type": "button", "id": "compare-brushed", "hidden": ""}, "Compare these"),
        " ",
        tag("button", {"type": "button", "id": "clear-brushes", "hidden": ""}, "Show all"),
    )
    return joined([hint, *parts, tag("p", {"class": "small"}, HOW)])


def _compare(content: ReportContent) -> Markup:
    field = {
        "id": "compared",
        "type": "text",
        "inputmode": "text",
        "autocomplete": "off",
        "spellcheck": "false",
        "aria-label": "numbers of trials",
        "placeholder": "0, 3, 7-12",
    }
    return joined(
        [
            tag(
                "p",
                {"class": "small"},
                f"Up to {MOST_COMPARED} trials side by side: type their numbers, or tick them in the leaderboard.",
            ),
            tag(
                "div",
                {"class": "controls"},
                tag("input", field),
                tag("button", {"type": "button", "id": "compare-best"}, "Best five"),
                tag("button", {"type": "button", "id": "compare-finalists"}, "Finalists"),
                tag("button", {"type": "button", "id": "compare-none"}, "Clear"),
                tag("select", {"id": "compare-curve", "aria-label": "curve"}),
                tag("label", None, tag("input", {"type": "checkbox", "id": "compare-all"}), " also what is the same"),
            ),
            tag("output", {"id": "compare-said", "class": "small"}, ""),
            tag("div", {"id": "compare-chart", "data-most": MOST_COMPARED}),
            tag("div", {"class": "box tall", "id": "compare-table"}),
        ]
    )


def _sheets(sheets: Sequence[str]) -> Markup | None:
    if not sheets:
        return None
    shots = [
        tag("a", {"href": path}, tag("img", {"src": path, "alt": path.rpartition("/")[2], "loading": "lazy"}))
        for path in sheets
    ]
    return tag(
        "details",
        None,
        tag("summary", None, "Samples, and what a model gets"),
        tag("div", {"class": "shots large"}, *shots),
    )


def _footer() -> Markup:
    words = (
        "For research only: nothing here is a medical device. Figures of the most wrong images, samples and the "
        "audit's page show images of the set: share this folder as you would share them."
    )
    return tag("footer", {"class": "small"}, words)
