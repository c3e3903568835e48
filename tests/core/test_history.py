from pathlib import Path

import pytest

from orchestrator.errors import BadInput
from orchestrator.history import all_sweeps, same_data, sweeps_of, why_apart
from orchestrator.home import Home
from orchestrator.journal import JournalWriter, SweepStarted
from orchestrator.sweep_state import replay


def write(home: Home, started: SweepStarted) -> None:
    folder = home.sweeps / started.sweep_id
    folder.mkdir(parents=True)
    with JournalWriter(folder / "journal.jsonl", lambda event: None) as journal:
        journal.append(started)


def changed(started: SweepStarted, sweep_id: str, **data) -> SweepStarted:
    plan = started.plan.model_copy(update={"data": started.plan.data.model_copy(update=data)})
    return started.model_copy(update={"sweep_id": sweep_id, "plan": plan, "time": started.time + len(sweep_id)})


def test_a_damaged_journal_is_named_and_hides_no_other(tmp_path: Path, started: SweepStarted) -> None:
    home = Home(tmp_path)
    write(home, started)
    for name, content in {"headless": b'{"kind": "winner_chosen", "trial": 1}\n', "garbage": b"nothing\n"}.items():
        (home.sweeps / name).mkdir()
        (home.sweeps / name / "journal.jsonl").write_bytes(content)
    states, faults = all_sweeps(home)
    assert [state.started.sweep_id for state in states] == [started.sweep_id]
    assert sorted(fault.split()[1] for fault in faults) == ["garbage", "headless"]


def test_only_sweeps_on_the_same_data_are_compared(tmp_path: Path, started: SweepStarted) -> None:
    home = Home(tmp_path)
    for one in (started, changed(started, "other-split", split_digest="x"), changed(started, "same-data-later")):
        write(home, one)
    sweeps = sweeps_of(all_sweeps(home)[0], "stroke_phantom")
    assert len(sweeps) == 3
    assert [state.started.sweep_id for state in same_data(sweeps)] == [started.sweep_id, "same-data-later"]
    assert [why_apart(state, sweeps[-1]) for state in sweeps] == ["", "another split (shipped)", ""]
    assert why_apart(replay([changed(started, "x", digest="other")]), sweeps[-1]) == "other phantom data"


def test_real_sweeps_come_before_phantom_ones(tmp_path: Path, started: SweepStarted) -> None:
    home = Home(tmp_path)
    write(home, started)
    assert [state.started.sweep_id for state in sweeps_of(all_sweeps(home)[0], "stroke")] == [started.sweep_id]
    write(home, changed(started, "on-real-images", kind="real"))
    known = all_sweeps(home)[0]
    assert [state.started.sweep_id for state in sweeps_of(known, "stroke")] == ["on-real-images"]
    assert [state.started.sweep_id for state in sweeps_of(known, "stroke_phantom")] == [started.sweep_id]
    with pytest.raises(BadInput, match="did you mean 'on-real-images'"):
        sweeps_of(known, "on-real-image")
