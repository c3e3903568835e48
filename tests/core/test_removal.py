"""What goes when a sweep is removed, and what does not."""

import fcntl
import json
from pathlib import Path

import pytest
from sweep_support import begin, open_sweep

from orchestrator.cli import remove
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import Registered, SweepEnded, SweepTracked, WinnerChosen
from orchestrator.removal import what_would_go
from orchestrator.tracking.outcome import SyncOutcome, write_outcome


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


def test_a_sweep_that_is_being_sent_stays(home: Home) -> None:
    lock = home.sweeps / "one" / "sync-0a1b2c3d.lock"
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match=r"^one: is being sent to MLflow; wait until that is done$"):
            remove.remove(["other", "one"], yes=True)
    assert sorted(path.name for path in home.sweeps.iterdir()) == ["one", "other"]
    remove.remove(["one"], yes=True)
    assert not (home.sweeps / "one").exists()


@pytest.mark.parametrize(
    ("ended", "outcomes", "is_sent"),
    [
        (True, [SyncOutcome(events_sent=4)], True),
        (True, [SyncOutcome(), SyncOutcome(events_sent=4)], True),  # another store has it
        (True, [], False),
        (True, [SyncOutcome(events_sent=3)], False),
        (True, [SyncOutcome(events_sent=4, figures_due=[0])], False),
        (False, [SyncOutcome(events_sent=4)], False),  # its driver died
    ],
)
def test_it_is_said_where_mlflow_lacks_something(
    home: Home, capsys: pytest.CaptureFixture[str], ended: bool, outcomes: list[SyncOutcome], is_sent: bool
) -> None:
    folder = home.sweeps / "one"
    if ended:
        with open_sweep(folder) as sweep:
            sweep.append(SweepEnded(state="completed"))
    for number, outcome in enumerate(outcomes):
        write_outcome(folder / f"sync-{number}.json", outcome)
    remove.remove(["one"])
    words = "not all of it is in MLflow; orchestrate sync one first"
    assert (words not in capsys.readouterr().err) == is_sent
    assert what_would_go(folder).unsent == ("" if is_sent else words)
    remove.remove(["one"], yes=True)
    assert not folder.exists(), "who has seen it may remove it all the same"
