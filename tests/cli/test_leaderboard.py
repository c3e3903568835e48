"""`orchestrate leaderboard`: one ranking for sweeps on the same data, and what its readers must know, in every form."""

import csv
import io
import json
from pathlib import Path

import pytest
from report_support import finalist_event, with_summary
from sweep_support import epoch, make_plan, open_sweep, suggested

from orchestrator.cli import show
from orchestrator.cli.console import LiteralConsole
from orchestrator.cli.leaderboard import show_leaderboard
from orchestrator.home import Home
from orchestrator.journal import FoldEvaluated, SeedEvaluated, SweepTracked, TrialEnded, TrialStarted
from orchestrator.test_ledger import note_preparation
from orchestrator.tracking.outcome import SyncOutcome, outcome_file, write_outcome

DIGEST = "t" * 32


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Two sweeps of stroke: the newest, with two trials that tie and images that leak, and one on other images."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    home = Home(tmp_path)
    home.sweeps.mkdir()
    add_sweep(home, "older", {"digest": "o", "test_digest": "u", "grouped_by": "audit"}, [0.9])
    add_sweep(home, "newest", {"leaks": {"copy": 3}}, [0.7, 0.7, 0.6])
    for purpose in ("hashed", "audited"):
        note_preparation(home.test_ledger, DIGEST, 10, "sweep newest", purpose)
    return home


def add_sweep(home: Home, name: str, data: dict[str, object], scores: list[float]) -> None:
    with open_sweep(home.sweeps / name, with_summary(make_plan(), data), name) as sweep:
        for number, score in enumerate(scores):
            for event in (suggested(number), TrialStarted(trial=number), epoch(number, 1, score)):
                sweep.append(event)
            sweep.append(TrialEnded(trial=number, state="completed", reason="all 1 epochs trained"))
        sweep.append(finalist_event(0))


def test_json_has_the_flags_on_top_and_whole_rows_of_sweeps_that_stand_apart(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    show_leaderboard("stroke", as_json=True)
    board = json.loads(capsys.readouterr().out)
    flags = {"data_kind": "real", "split": "shipped", "grouped_by": "patient", "test_images": 10}
    assert board | flags | {"leaking_test_images": 3} == board
    assert [read["why"] for read in board["test_reads"]] == ["hashed", "audited"]
    assert [(row["rank"], row["is_tied"]) for row in board["rows"]] == [(1, True), (1, True), (3, False)]
    (apart,) = board["apart"]
    assert (apart["sweep_id"], apart["reason"], apart["grouped_by"]) == ("older", "other real data", "audit")
    assert (apart["leaking_test_images"], apart["test_reads"], len(apart["rows"])) == (0, [], 1)


def test_csv_has_every_trial_its_ties_and_the_flags_of_its_data(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    show_leaderboard("stroke", as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    keys = ("sweep_id", "rank", "is_tied", "apart_reason", "grouped_by", "leaking_test_images", "test_reads")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("newest", "1", "True", "", "patient", "3", "2"),
        ("newest", "1", "True", "", "patient", "3", "2"),
        ("newest", "3", "False", "", "patient", "3", "2"),
        ("older", "1", "False", "other real data", "audit", "0", "0"),
    ]
    assert {row["data_kind"] for row in rows} == {"real"} and {row["test_images"] for row in rows} == {"10"}


def test_each_table_says_below_it_what_its_scores_rest_on(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    show_leaderboard("stroke")
    compared, _, apart = capsys.readouterr().out.partition("older stands apart: other real data")
    for words in (
        "1=",
        "trained on real data, shipped split, grouped by patient",
        "these 10 test images so far: 0 evaluations by 0 sweeps, 2 reads for preparation and audits",
        "3 of these 10 test images leak: development has seen them or their likes",
    ):
        assert words in compared
    assert "grouped by audit" in apart and "2 reads" not in apart and "leak:" not in apart


def test_reads_whose_test_side_is_not_known_are_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    show_leaderboard("stroke", as_json=True)
    assert "further reads" not in capsys.readouterr().err
    for who in ("data check stroke", "preflight stroke"):
        note_preparation(home.test_ledger, "", 48, who, "audited")
    show_leaderboard("stroke", as_json=True)
    assert "2 further reads of sets without a known test side\n" in capsys.readouterr().err


def test_csv_has_the_leak_free_part_and_the_spread_over_seeds_and_folds(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_sweep(home.sweeps / "newest") as sweep:
        for n, value in enumerate((0.6, 0.8)):
            sweep.append(SeedEvaluated(trial=0, epoch=1, validation={"auroc": value}, seed_index=n, seed=n))
            sweep.append(FoldEvaluated(trial=0, epoch=1, validation={"auroc": value - 0.1}, fold=n))
    show_leaderboard("newest", as_csv=True)
    first, second, _ = csv.DictReader(io.StringIO(capsys.readouterr().out))
    names = ["test_leak_free_auroc", "leak_free_images", "seeds_auroc_mean", "seeds", "folds_auroc_mean", "folds"]
    assert [round(float(first[name]), 6) for name in names] == [0.81, 4, 0.7, 2, 0.6, 2]
    assert round(float(first["seeds_auroc_sd"]), 4) == 0.1414
    assert {second[name] for name in names} == {""}, "no finalist"


def test_a_wide_table_says_why_a_trial_ended(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width, is_told in ((200, True), (159, False)):
        monkeypatch.setattr(show, "results", lambda width=width: LiteralConsole(width=width))
        show_leaderboard("newest")
        told = " ".join(capsys.readouterr().out.split())
        assert ("why it ended" in told) == ("all 1 epochs trained" in told) == is_told, width


def test_runs_of_a_sweep_that_came_to_no_end_are_those_that_sync_made(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = home.sweeps / "newest"
    told = SweepTracked(tracking_uri="", run_id="p", trial_run_ids={0: "told"}, registered=None)
    with open_sweep(folder) as sweep:
        sweep.append(told)  # at an earlier end
    write_outcome(outcome_file(folder, home, None), SyncOutcome(trial_run_ids={0: "x", 1: "made"}))
    show_leaderboard("newest", as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["run_id"] for row in rows] == ["told", "made", None]
