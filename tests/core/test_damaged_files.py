"""Files of a sweep that somebody or something damaged: a line each, and nothing is believed that no sweep writes."""

import json
import math
import socket
import time
from pathlib import Path

import pytest
from sweep_support import begin, epoch, make_plan, open_sweep, started, suggested

from orchestrator.cli.environment import store_uri
from orchestrator.errors import BadInput
from orchestrator.history import all_sweeps
from orchestrator.home import Home
from orchestrator.journal import Event, TrialStarted, WinnerChosen, read_events
from orchestrator.points import parse_points
from orchestrator.ranking import rank_trials
from orchestrator.space import FloatRange, SpaceFaults
from orchestrator.sweep_lock import OWNER, STALE_S, living_owner
from orchestrator.sweep_request import SweepRequest, keep_request, kept_request
from orchestrator.sweep_state import replay
from trainables.catalog import ARCHITECTURES


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (suggested(1, "nope"), "line 3: trial 1 is of nope, which the plan does not have"),
        (started(make_plan()), "line 3: it begins a second time"),
        (WinnerChosen(trial=77), "line 3: winner_chosen of trial 77, which was not suggested"),
        (TrialStarted(trial=5), "line 3: trial_started of trial 5, which was not suggested"),
    ],
)
def test_a_journal_that_does_not_fit_together_names_its_line(line: Event, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replay([started(make_plan()), suggested(0), line])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([epoch(0, 2, 0.5)], "line 3: trial 0 goes on with epoch 2 after none: a line is missing"),
        ([epoch(0, 1, 0.5), epoch(0, 3, 0.5)], "line 4: trial 0 goes on with epoch 3 after epoch 1: a line is missing"),
        (
            [epoch(0, 1, 0.5), TrialStarted(trial=0, after_epoch=2), epoch(0, 2, 0.5)],
            "line 4: trial 0 goes on with epoch 3 after epoch 1: a line is missing",
        ),
    ],
)
def test_an_epoch_that_somebody_took_out_of_a_journal_is_missed(lines: list[Event], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replay([started(make_plan()), suggested(0), *lines])


def test_an_epoch_may_be_told_again() -> None:
    again = [
        epoch(0, 1, 0.5),
        epoch(0, 2, 0.6),
        TrialStarted(trial=0, after_epoch=0),
        epoch(0, 1, 0.5),
        epoch(0, 3, 0.7),
    ]
    assert replay([started(make_plan()), suggested(0), *again]).trials[0].last_epoch == 3


def test_an_event_that_a_newer_version_wrote_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(started(make_plan()).model_dump_json() + '\n{"time": 1, "kind": "trial_praised", "trial": 1}\n')
    words = "line 2 is of a kind 'trial_praised' that this orchestrate does not know; a newer one wrote it"
    with pytest.raises(BadInput, match=words):
        read_events(path)


def test_what_is_no_number_wins_no_ranking() -> None:
    events = [started(make_plan()), *(suggested(n) for n in (0, 1)), epoch(0, 1, math.nan), epoch(1, 1, 0.6)]
    ranked = rank_trials(list(replay(events).trials.values()), "auroc")
    assert [trial.number for trial in ranked] == [1, 0]
    assert ranked[1].validation["auroc"] is None


@pytest.mark.parametrize("beat", ["x", None, [], {"deep": []}, math.inf])
def test_an_owner_that_cannot_be_read_owns_nothing(tmp_path: Path, beat: object) -> None:
    (tmp_path / OWNER).write_text(json.dumps({"pid": 1, "host": "elsewhere", "beat": beat}))
    assert living_owner(tmp_path) is None


@pytest.mark.parametrize(
    ("ahead_s", "lives"), [(0.0, True), (600.0, True), (11 * 86_400.0, False), (-2 * STALE_S, False)]
)
def test_a_clock_that_is_days_ahead_locks_nobody_out(tmp_path: Path, ahead_s: float, lives: bool) -> None:
    assert socket.gethostname() != "elsewhere"
    owner = {"pid": 1, "host": "elsewhere", "beat": time.time() + ahead_s}
    (tmp_path / OWNER).write_text(json.dumps(owner))
    assert (living_owner(tmp_path) is not None) == lives


def test_a_request_comes_back_as_it_was_asked(tmp_path: Path) -> None:
    machine = SweepRequest(name="", home=Home(tmp_path), tracking_uri="sqlite:////new.db")
    asked = SweepRequest(
        name="stroke_hybrid", home=Home(tmp_path / "old"), architectures=("a", "b"), slots=2, overrides={"lr": "1e-4"},
        data_root=tmp_path / "sets", split="grouped", gpu_share=0.5, tracking_uri="http://old",
    )  # fmt: skip
    keep_request(tmp_path, asked, tmp_path / "images")
    kept = kept_request(tmp_path, machine)
    assert (kept.home, kept.tracking_uri) == (machine.home, machine.tracking_uri)
    assert (kept.architectures, kept.slots, kept.overrides, kept.data_root) == (
        ("a", "b"),
        2,
        {"lr": "1e-4"},
        tmp_path / "sets",
    )
    assert (kept.split, kept.gpu_share, kept.name) == ("grouped", 0.5, "stroke_hybrid")


@pytest.mark.parametrize(
    "wrong",
    [
        *("[]", "null", "3", '"x"', "{", "[" * 100_000),
        *({"seed": "x"}, {"name": 3}, {"preset": "weird"}, {"architectures": [1]}, {"slots": "two"}, {"metric": 3}),
        *({"weights": "x"}, {"folds": "x"}, {"split": "x"}, {"seeds": 1.5}, {"data": 3}, {"overrides": []}),
    ],
    ids=lambda wrong: str(wrong)[:30],
)
def test_a_wrong_request_is_one_line(tmp_path: Path, wrong: object) -> None:
    machine = SweepRequest(name="stroke_hybrid", home=Home(tmp_path))
    keep_request(tmp_path, machine, tmp_path / "images")
    path = tmp_path / "request.json"
    path.write_text(wrong if isinstance(wrong, str) else json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(BadInput, match=r"request\.json: is missing or damaged"):
        kept_request(tmp_path, machine)


def test_a_copied_sweep_is_not_counted_twice(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.sweeps.mkdir()
    for folder in ("first", "copy"):
        with open_sweep(home.sweeps / folder, sweep_id="first") as sweep:
            begin(sweep, 0)
    states, faults = all_sweeps(home)
    assert [state.started.sweep_id for state in states] == ["first"]
    assert faults == ["sweep copy is left out: it is a copy of first"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite:///:memory:", "would be gone with this command"),
        ("sqlite://", "would be gone with this command"),
        ("http://[::bad", "is no address"),
    ],
)
def test_a_store_that_cannot_be_one_is_refused(uri: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        store_uri("--to", uri)


@pytest.mark.parametrize("value", [math.nan, math.inf, int("9" * 400)])
def test_a_point_that_is_no_number_is_refused(value: float) -> None:
    space = {"lr": FloatRange(low=1e-5, high=1e-2, default=1e-3, log=True)}
    with pytest.raises(SpaceFaults):
        parse_points([{"lr": value}], space, ARCHITECTURES["resnet_vit"].config)
