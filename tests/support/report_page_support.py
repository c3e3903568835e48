"""A report's page taken apart, and pages of small sweeps."""

import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from report_support import finalist_event, search_plan, with_summary
from sweep_support import started, suggested

from orchestrator.journal import (
    EpochEnded,
    Event,
    Registered,
    SweepEnded,
    SweepTracked,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.plan import SweepPlan
from orchestrator.report.writer import write_report
from orchestrator.space import Choice, FloatRange
from orchestrator.sweep_state import SweepState, replay
from trainables.catalog import default_hyperparameters

PNG = b"\x89PNG\r\n"


class Page(HTMLParser):
    """A page taken apart: elements with the names of their attributes, texts by element, values of attributes."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._in_script = False
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.close()

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def data(self) -> Any:
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "trials"))

    def rows(self) -> list[list[str]]:
        """Return the leaderboard's cells."""
        table = self.html.partition('id="leaderboard-table"')[2].partition("</table>")[0]
        rows = re.findall(r"<tr data-t.*?</tr>", table, flags=re.DOTALL)
        return [[re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        else:
            self.texts.append(data)


def few(plan: SweepPlan, scores: Iterable[float | None], epochs: int = 2) -> list[Event]:
    """Return a sweep of trials that trained to their end with the scores."""
    events: list[Event] = [started(plan)]
    name = next(iter(plan.architectures))
    for number, score in enumerate(scores):
        events.append(suggested(number, name, **default_hyperparameters(name)))
        events.append(TrialStarted(trial=number))
        for at in range(1, epochs + 1):
            metrics = dict.fromkeys(("val/auroc", "val/log_loss"), score)
            events.append(EpochEnded(trial=number, epoch=at, metrics=metrics))
        events.append(TrialEnded(trial=number, state="completed", reason=f"all {epochs} epochs trained"))
    return events


def written(folder: Path, state: SweepState, importances: Mapping[str, Mapping[str, float]] | None = None) -> Page:
    folder.mkdir(parents=True, exist_ok=True)
    return Page(write_report(folder, state, importances or {}))


def named_sweep(folder: Path, words: list[str]) -> Page:
    """Return the page of a sweep in which everything that data or users can name has one of the words as its name."""
    folder.mkdir()
    plan = with_summary(
        search_plan(classes=tuple(words)),
        {
            "images": {"test": dict.fromkeys(words, 5), "validation": {words[0]: 3}},
            "leaks": dict.fromkeys(words, 1),
            "notes": tuple(words),
        },
    )
    space = {
        "lr": FloatRange(low=1e-5, high=1e-2, default=1e-3, log=True),
        "vit": Choice(choices=tuple(words), default=words[0]),
        "resnet": Choice(choices=("a", "b"), default="a", when={"vit": (words[0],)}),
    }
    plan = plan.model_copy(update={"architectures": {"resnet_vit": space}})
    begin = started(plan).model_copy(
        update={"git": {"commit": words[0], "dirty": "true"}, "versions": {words[1]: words[2]}}
    )
    events: list[Event] = [begin]
    for number, word in enumerate(words):
        chosen = {**default_hyperparameters("resnet_vit"), "vit": word, "lr": 1e-4 * (number + 1), "resnet": "a"}
        events += [suggested(number, "resnet_vit", **chosen), TrialStarted(trial=number)]
        events.append(EpochEnded(trial=number, epoch=1, metrics={"val/auroc": 0.5 + number / 100, "val/log_loss": 1.0}))
        state = "failed" if number % 2 else "completed"
        events.append(TrialEnded(trial=number, state=state, reason=word))
    events.append(
        finalist_event(8).model_copy(
            update={"further": {f"test/{word}/auroc": 0.5 for word in words}, "leak_free_reason": words[3]}
        )
    )
    events.append(WinnerChosen(trial=8))
    events.append(SweepTracked(
        tracking_uri="sqlite:////home/someone/secret.db", run_id="r", trial_run_ids={},
        registered=Registered(name=words[4], version="1", aliases=list(words)),
    ))  # fmt: skip
    events.append(SweepEnded(state="interrupted", reason=words[5]))
    (folder / "data").mkdir()
    findings = [
        {"severity": "leak", "title": word, "count": 30, "done": word, "examples": [{"images": [word], "words": word}]}
        for word in words
    ]
    shortcut = {
        "feature": words[0],
        "modality": words[1],
        "score": 0.9,
        "chance": 0.5,
        "luck": 0.6,
        "is_shortcut": True,
    }
    audit = {"images": 9, "verdict": words[6], "findings": findings, "shortcuts": [shortcut], "notes": words}
    (folder / "data" / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    asked = {
        "name": f"/home/someone/{words[0].replace('/', '')}.yaml",
        "data": "/home/someone/images",
        "overrides": {"vit": words[0]},
    }
    (folder / "request.json").write_text(json.dumps(asked), encoding="utf-8")
    figures = folder / "finalists" / "0008" / "test"
    figures.mkdir(parents=True)
    (figures / f"{words[1].replace('/', '')[:60]}.png").write_bytes(PNG)
    return written(folder, replay(events))
