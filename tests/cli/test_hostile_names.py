"""Names and reasons that look like markup, Markdown, HTML or commands of a terminal, in all that commands show."""

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from plan_support import data_summary
from report_support import HOSTILE, finalist_event
from sweep_support import epoch, make_plan, open_sweep, started, suggested
from terminal_support import terminal_as_stderr

from orchestrator.cli import data, results
from orchestrator.cli.console import results as console_for_results
from orchestrator.cli.leaderboard import show_leaderboard
from orchestrator.cli.running import status
from orchestrator.cli.show import show_plan
from orchestrator.cli.sweep_progress import SweepProgress
from orchestrator.journal import Event, SweepEnded, TrialEnded, TrialStarted, WinnerChosen
from orchestrator.open_sweep import opened
from orchestrator.plan import SweepPlan
from orchestrator.ranking import leaderboard, to_markdown
from orchestrator.sweep_state import replay

WORDS = [
    *HOSTILE,
    "[red]red[/red]",
    "[/] [link=x]",
    ":warning: :brain:",
    "\x1b[31mred\x1b[2J\x07",
    '=1+1,"a";b',
    "\u202egnp.x",
]


def shown(word: str) -> str:
    """Return a word as a terminal should show it."""
    return "".join(letter if letter.isprintable() else "?" for letter in word)


def hostile_plan() -> SweepPlan:
    (space,) = make_plan().architectures.values()
    plan = make_plan(architectures={f"timm/{word}": space for word in WORDS}, budget__trials=99)
    images = {"test": dict.fromkeys(WORDS, 5)}
    summary = data_summary("real").model_copy(update={"images": images, "notes": tuple(WORDS)})
    return plan.model_copy(update={"classes": tuple(WORDS), "data": summary})


def hostile_events() -> list[Event]:
    """Return a sweep in which each word is an architecture, a hyperparameter and why a trial ended."""
    events: list[Event] = [started(hostile_plan())]
    for number, word in enumerate(WORDS):
        events += [suggested(number, f"timm/{word}", lr=1e-4, vit=word), TrialStarted(trial=number)]
        events += [epoch(number, 1, 0.9 - number / 100), TrialEnded(trial=number, state="failed", reason=word)]
    return [*events, finalist_event(0), WinnerChosen(trial=0), SweepEnded(state="interrupted", reason=WORDS[-4])]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    (tmp_path / "sweeps").mkdir()
    with open_sweep(tmp_path / "sweeps" / "s", hostile_plan()) as sweep:
        for event in hostile_events()[1:]:
            sweep.append(event)
    return tmp_path


def test_the_table_shows_each_word_on_a_line_of_its_own_to_the_letter(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = console_for_results()
    wide.width = 2000
    monkeypatch.setattr("orchestrator.cli.show.results", lambda: wide)
    monkeypatch.setattr("orchestrator.cli.show.TOP_ROWS", 99)
    show_leaderboard("s")
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    for number, word in enumerate(WORDS):
        (line,) = [line for line in lines if re.match(rf" ?{number + 1} +{number} ", line)]
        assert f"timm/{shown(word)}" in line and f"vit={shown(word)}" in line
    assert "\x1b" not in printed


def test_csv_and_json_give_back_every_word(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_leaderboard("s", as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["architecture"] for row in rows] == [f"timm/{word}" for word in WORDS]
    assert [row["stop_reason"] for row in rows] == WORDS
    show_leaderboard("s", as_json=True)
    board = json.loads(capsys.readouterr().out)
    assert [row["hyperparameters"]["vit"] for row in board["rows"]] == WORDS


def test_the_note_in_mlflow_is_a_table_without_links_html_or_code() -> None:
    header, _, *rows = to_markdown(leaderboard([replay(hostile_events())]), "auroc").splitlines()
    assert len(rows) == len(WORDS)
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == header.count("|")
        assert not re.search(r"(?<!\\)[`<>&]|(?<!\\)\]\(", row)
    assert r"| timm/\<script\>alert(1)\</script\> **winner** |" in rows[0]


@pytest.mark.parametrize("width", [80, 160])
def test_the_live_view_stays_whole(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        terminal_as_stderr(width, 60, monkeypatch) as terminal,
        SweepProgress(WORDS[0]) as progress,
        opened(tmp_path, progress) as sweep,
    ):
        for event in hostile_events():
            sweep.append(event)
    assert terminal.wraps == 0 and terminal.shows_cursor
    left = "".join("".join(terminal.lines).split())  # long lines were broken at words
    assert "bestsofar" not in left
    for word in ("[red]red[/red]", ":warning: :brain:", "?[31mred?[2J?", "[/] [link=x]"):
        assert f"timm/{word}: failed, best auroc".replace(" ", "") in left


def test_what_else_is_printed_of_data_and_sweeps_is_literal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = SimpleNamespace(images=range(len(WORDS)), words="")
    finding = SimpleNamespace(severity="leak", title=WORDS[-3], examples=[example], done="")
    report = SimpleNamespace(
        verdict="leaks", images=9, groups=9, unreadable=[], exact_duplicates=0, near_duplicates=0,
        cross_split_leaks=0, findings=[finding], paths=WORDS,
    )  # fmt: skip
    prints = {
        "data check": lambda: data.show_report(report, tuple(WORDS)),
        "plan": lambda: show_plan(hostile_plan(), 1),
        "status": lambda: status("s"),
        "list": lambda: results.list_things("runs"),
    }
    for name, prints_it in prints.items():
        prints_it()
        printed = capsys.readouterr().out
        assert "\x1b" not in printed and "\u202e" not in printed and "\x07" not in printed, name
        if name != "list":
            for word in WORDS:
                assert shown(word) in printed.replace("\n", ""), (name, word)
