"""One small sweep on data that leak: what is told and kept, and that it goes on when it is broken off or has ended."""

import json
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from process_support import is_alive, titled
from record_support import compare, records_of
from started_sweep import EPOCHS, LEAKING, TRIALS, BrokenOff, Started, epochs_in
from tests_support import Finished, run_here

from orchestrator.home import Home
from orchestrator.journal import SweepEnded, TrialStarted, read_events
from orchestrator.open_sweep import state_of
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.store import open_store

pytestmark = pytest.mark.sweep


@pytest.fixture(scope="module")
def broken_off(leaking_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BrokenOff]:
    """A sweep that was told to end in its second trial, and its home."""
    home = tmp_path_factory.mktemp("swept") / "home"
    sweep = Started(home, "whole", "--data", leaking_set, "--seeds", "2")
    sweep.wait_for(lambda state: epochs_in(state) >= EPOCHS + 3)
    return home, sweep.ctrl_c()


@pytest.fixture(scope="module")
def swept(broken_off: tuple[Path, BrokenOff]) -> tuple[Path, Finished]:
    """The same sweep, resumed to its end: its home and what it printed."""
    done = run_here(broken_off[0], "resume", "whole", "--json")
    assert done.exit_code == 0, done.stderr
    return broken_off[0], done


@pytest.fixture(scope="module")
def state(swept: tuple[Path, Finished]) -> SweepState:
    return replay(read_events(Path(swept[1].json["journal"]))[0])


def test_ctrl_c_keeps_every_epoch_and_says_how_to_go_on(broken_off: tuple[Path, BrokenOff]) -> None:
    home, sweep = broken_off
    assert sweep.exit_code == 130, sweep.stderr
    assert "Traceback" not in sweep.stderr
    assert "orchestrate resume whole" in sweep.stderr
    assert (sweep.state.ended.state, sweep.state.trials[1].state) == ("interrupted", "interrupted")
    said = run_here(home, "status", "whole")
    assert "interrupted by the user" in said.stdout
    assert "to go on: orchestrate resume whole" in said.stdout


def test_data_that_changed_are_refused(broken_off: tuple[Path, BrokenOff], leaking_set: Path) -> None:
    victim = next((leaking_set / "deep/train/1- Stroke/StrokeMR").iterdir())
    kept = victim.read_bytes()
    victim.write_bytes(next((leaking_set / "deep/train/2- Control/NormalMR").iterdir()).read_bytes())
    try:
        refused = run_here(broken_off[0], "resume", "whole")
    finally:
        victim.write_bytes(kept)
    assert refused.exit_code == 2
    assert "data or sweep file changed since it was started: data.digest was" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_goes_on_and_loses_and_repeats_nothing(
    broken_off: tuple[Path, BrokenOff], swept: tuple[Path, Finished]
) -> None:
    """That it ends as an undisturbed one: test_broken_sweeps.py and tests/faults/run.py."""
    journal = Path(swept[1].json["journal"])
    found = records_of(journal.parent, swept[0])
    assert compare(found, TRIALS, EPOCHS) == []
    assert found.redone_epochs() == 0, "the last finished epoch was kept"
    starts = [event for event in read_events(journal)[0] if isinstance(event, TrialStarted)]
    known = broken_off[1].state.trials[1].last_epoch
    assert [event.after_epoch for event in starts if event.trial == 1] == [0, known]


def test_leaks_are_said_counted_and_scored_apart(
    broken_off: tuple[Path, BrokenOff], swept: tuple[Path, Finished], state: SweepState
) -> None:
    result = swept[1].json
    test_images = sum(state.plan.data.images["test"].values())
    assert (result["split"], result["leaking_test_images"]) == ("shipped", LEAKING)
    assert (
        f"LEAK: {LEAKING} of {test_images} test images were seen in development ({LEAKING} copy)"
        in broken_off[1].stderr
    )
    assert result["winner"]["leak_free_images"] == test_images - LEAKING
    leak_free, whole = result["winner"]["test_leak_free"], result["winner"]["test"]
    assert set(leak_free) == set(whole)
    assert leak_free["log_loss"] != whole["log_loss"]
    board = run_here(swept[0], "leaderboard", result["sweep_id"]).stdout
    assert f"({test_images - LEAKING} of {test_images})" in board


def test_finalists_have_their_spread_over_folds(swept: tuple[Path, Finished], state: SweepState) -> None:
    folds = state.folds[state.winner]
    assert sorted(folds) == [0, 1]
    values = [folds[fold].validation["auroc"] for fold in (0, 1)]
    mean, deviation, count = swept[1].json["winner"]["folds"]["auroc"]
    assert mean == pytest.approx(sum(values) / 2)
    assert deviation == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert count == 2
    rows = (Path(swept[1].json["journal"]).parent / "development.csv").read_text().splitlines()[1:]
    assert {row.rsplit(",", 1)[1] for row in rows} == {"0", "1"}


def test_finalists_have_their_seeds_before_the_winner_is_chosen(
    swept: tuple[Path, Finished], state: SweepState
) -> None:
    events = read_events(Path(swept[1].json["journal"]))[0]
    kinds = [event.kind for event in events if event.kind in ("seed_evaluated", "winner_chosen", "fold_evaluated")]
    assert kinds == ["seed_evaluated", "seed_evaluated", "winner_chosen", "fold_evaluated", "fold_evaluated"]
    trial, seeds = state.trials[state.winner], state.seeds[state.winner]
    assert {n: one.seed for n, one in seeds.items()} == {n: child_seed(trial.seed, SeedPath.SEED, n) for n in (1, 2)}
    losses = {trial.validation["log_loss"], *(one.validation["log_loss"] for one in seeds.values())}
    assert len(losses) == 3, "the search's own training is none of the two"
    values = [seeds[n].validation["auroc"] for n in (1, 2)]
    mean, deviation, count = swept[1].json["winner"]["seeds"]["auroc"]
    assert (mean, count) == (pytest.approx(sum(values) / 2), 2)
    shown = f"{mean:.4f} ± {deviation:.4f} (2)"
    assert shown in run_here(swept[0], "leaderboard", state.started.sweep_id).stdout
    client: MlflowClient = open_store(Home(swept[0]), None)
    run_id = state.tracked.trial_run_ids[state.winner]
    points = sorted(client.get_metric_history(run_id, "seed/auroc"), key=lambda point: point.step)
    assert [(point.step, point.value) for point in points] == [(1, values[0]), (2, values[1])]
    held = client.get_run(run_id).data.metrics
    assert (held["seeds/auroc_mean"], held["seeds/auroc_sd"]) == (pytest.approx(mean), pytest.approx(deviation))


def test_mlflow_holds_what_was_found_in_the_data(swept: tuple[Path, Finished], state: SweepState) -> None:
    client: MlflowClient = open_store(Home(swept[0]), None)
    parent = client.get_run(state.tracked.run_id)
    names = {Path(item.path).name for item in client.list_artifacts(parent.info.run_id, "data")}
    assert names == {"audit.html", "audit.json", "split.csv", "samples.png", "preprocessing.png"}
    tags = parent.data.tags
    assert tags["orchestrate.leaking_test_images"] == str(LEAKING)
    assert tags["orchestrate.split_digest"] == state.plan.data.split_digest
    for run_id in state.tracked.trial_run_ids.values():
        assert client.get_run(run_id).data.tags["orchestrate.split_digest"] == state.plan.data.split_digest
    winner = client.get_run(state.tracked.trial_run_ids[state.winner])
    assert {
        "test/auroc",
        "test/auroc_low",
        "test/auroc_high",
        "test_leak_free/auroc",
        "folds/auroc_mean",
        "folds/auroc_sd",
    } <= set(winner.data.metrics)
    split = Path(client.download_artifacts(parent.info.run_id, "data/split.csv")).read_text()
    assert split.count(",copy,") == LEAKING
    assert str(swept[0].parent) not in split


def test_every_read_of_test_data_is_in_the_ledger(swept: tuple[Path, Finished], state: SweepState) -> None:
    lines = [json.loads(line) for line in (swept[0] / "test_reads.jsonl").read_text().splitlines()]
    digest = state.plan.data.test_digest
    evaluations = [line for line in lines if line["purpose"] == "evaluation"]
    assert [line["model"] for line in evaluations] == [f"trial {number} (resnet_vit)" for number in state.finalists]
    assert {line["who"] for line in evaluations} == {state.started.sweep_id}
    assert {line["test_digest"] for line in lines} == {digest}
    shown = run_here(swept[0], "leaderboard", "stroke_phantom", "--json")
    assert len(shown.json["test_reads"]) == len(lines)
    assert "1 evaluation by 1 sweep" in shown.stderr


def test_search_is_given_no_path_to_test_images(swept: tuple[Path, Finished], state: SweepState) -> None:
    sweep = Path(swept[1].json["journal"]).parent
    for name in ("trial_setup.json", "development.csv"):
        text = (sweep / name).read_text()
        assert "deep/test" not in text
        assert "/cache/test/" not in text
        assert "test.csv" not in text


@pytest.mark.faults  # minutes: all that is done with finalists is done again; tests/tuning/test_extended_trials.py
def test_a_finished_sweep_goes_on_with_more_trials_and_epochs(swept: tuple[Path, Finished]) -> None:
    home, first = swept[0], swept[1].json
    nothing = run_here(home, "resume", "whole", "--json")
    assert (nothing.exit_code, nothing.json["winner"]) == (0, first["winner"])
    assert "has ended; --trials N or --epochs N raise its budget" in nothing.stderr
    for flag, words in (
        ("--trials", "--trials 1: the sweep has 3"),
        ("--epochs", f"--epochs 1: the sweep has {EPOCHS}"),
    ):
        refused = run_here(home, "resume", "whole", flag, "1")
        assert (refused.exit_code, words in refused.stderr) == (2, True), refused.stderr
    winner = first["winner"]["trial_id"]
    longer = run_here(home, "resume", "whole", "--trials", TRIALS + 1, "--epochs", EPOCHS + 2, "--json")
    assert longer.exit_code == 0, longer.stderr
    state = state_of(home / "sweeps" / "whole")
    assert longer.json["trials"] == TRIALS + 1
    assert state.trials[winner].last_epoch == EPOCHS + 2, "the best one trained further"
    assert state.trials[TRIALS].last_epoch == EPOCHS + 2
    assert {trial.last_epoch for trial in state.trials.values()} == {EPOCHS, EPOCHS + 2}
    found = records_of(home / "sweeps" / "whole", home)
    grown = {f"trial {n} has epochs {list(range(1, EPOCHS + 3))}" for n in (winner, TRIALS)}
    assert set(compare(found, TRIALS + 1, EPOCHS)) == grown, "all else agrees"
    events = read_events(home / "sweeps" / "whole" / "journal.jsonl")[0]
    ends = [event for event in events if isinstance(event, SweepEnded)]
    assert [end.state for end in ends] == ["interrupted", "completed", "completed"]


def test_a_trial_is_replayed_to_the_bit(swept: tuple[Path, Finished]) -> None:
    done = run_here(swept[0], "replay", "whole", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["largest_difference"] == 0
    assert len(done.json["epochs"]) >= EPOCHS
    unknown = run_here(swept[0], "replay", "whole", "9")
    assert unknown.exit_code == 2
    assert "trial 9 has no epoch to compare with; those that have: 0, 1, 2" in unknown.stderr


def test_ctrl_c_left_no_process(broken_off: tuple[Path, BrokenOff]) -> None:
    family = broken_off[1].family
    assert len(family) > 3, "ray and sync were running"
    deadline = time.monotonic() + 120  # Ray's agents look for a core that is gone for up to a minute
    while time.monotonic() < deadline and any(map(is_alive, family)):
        time.sleep(0.2)
    assert not [titled(pid) for pid in family if is_alive(pid)], "orphans"
