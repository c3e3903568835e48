"""What goes when a sweep is removed, and what does not."""

import json
from pathlib import Path

import pytest
from sweep_support import begin, open_sweep

from orchestrator.cli import remove
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import Registered, SweepEnded, SweepTracked, WinnerChosen
from orchestrator.removal import what_would_go


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    home = Home(tmp_path)
    home.sweeps.mkdir()
    for name in ("one", "other"):
        with open_sweep(home.sweeps / name) as sweep:
            begin(sweep, 0)
        (home.sweeps / name / "weights").write_bytes(bytes(1000))
    return home


def test_nothing_goes_before_it_was_shown(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    remove.remove(["one"])
    told = capsys.readouterr()
    assert "one: " in told.out
    assert "1 trials, killed" in told.out
    assert "nothing is removed yet; add --yes" in told.err
    assert (home.sweeps / "one" / "weights").is_file()


def test_what_was_asked_for_goes_and_no_more(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    leftover = home.sweeps / ".removed-0000"  # of a removal that was broken off
    leftover.mkdir()
    remove.remove(["one", "one"], yes=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["removed"]
    assert [one["sweep_id"] for one in told["sweeps"]] == ["one"]
    assert told["sweeps"][0]["size_bytes"] > 1000
    assert [path.name for path in home.sweeps.iterdir()] == ["other"]


def test_a_sweep_that_somebody_runs_stays(home: Home) -> None:
    with (
        open_sweep(home.sweeps / "one"),
        pytest.raises(BadInput, match=r"one: is run by process .*stop one"),
    ):
        remove.remove(["other", "one"], yes=True)
    assert sorted(path.name for path in home.sweeps.iterdir()) == ["one", "other"], "all or none"


def test_a_damaged_journal_is_no_reason_to_keep_it(home: Home) -> None:
    (home.sweeps / "one" / "journal.jsonl").write_text("nothing\n")
    assert what_would_go(home.sweeps / "one").state == "its journal is damaged"
    remove.remove(["one"], yes=True)
    assert not (home.sweeps / "one").exists()


@pytest.mark.parametrize(
    ("registered", "words"),
    [
        (None, "its winner is registered nowhere and goes; orchestrate sync one registers it first"),
        (Registered(name="stroke", version="3", aliases=[]), "its runs and stroke version 3 stay in sqlite:///x"),
    ],
)
def test_it_is_said_what_of_a_winner_stays(home: Home, registered: Registered | None, words: str) -> None:
    with open_sweep(home.sweeps / "one") as sweep:
        sweep.append(WinnerChosen(trial=0))
        sweep.append(SweepTracked(tracking_uri="sqlite:///x", run_id="r", trial_run_ids={}, registered=registered))
        sweep.append(SweepEnded(state="completed"))
    assert what_would_go(home.sweeps / "one").kept_elsewhere == words
