"""Data that leak or change, whole commands long: what is refused, what is counted, what MLflow and the ledger hold."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from sweep_support import begin, epoch
from tests_support import TINY, Finished, run_here, with_store

from orchestrator.home import Home
from orchestrator.journal import TrialEnded, read_events
from orchestrator.open_sweep import OpenSweep
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.store import open_store
from orchestrator.tuning.test_data import TestData
from trainables.data.cache import digest_file
from trainables.data.phantom import write_stroke_phantom
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.errors import DataError
from trainables.explain.settings import explanation_settings

pytestmark = pytest.mark.sweep
SMALL = ["sweep", "stroke_hybrid", *TINY, "--trials", "2", "--epochs", "2", "--finalists", "1", "--slots", "1"]
LEAKING = 6


@pytest.fixture(scope="module")
def leaking_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom whose test side holds six training images under other names."""
    root = tmp_path_factory.mktemp("leaking") / "set"
    root.mkdir()
    write_stroke_phantom(root, train_patients=16, test_patients=6, image_px=64)
    for number, source in enumerate(sorted((root / "deep/train/1- Stroke/StrokeBT").iterdir())[:LEAKING]):
        (root / "deep/test/strokeBT" / f"again ({number}){source.suffix}").write_bytes(source.read_bytes())
    return root


@pytest.fixture(scope="module")
def swept(leaking_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    home = tmp_path_factory.mktemp("swept") / "home"
    done = run_here(with_store(home), *SMALL, "--folds", "2", "--seeds", "2", "--data", leaking_set, "--json")
    assert done.exit_code == 0, done.stderr
    return home, done


@pytest.fixture(scope="module")
def state(swept: tuple[Path, Finished]) -> SweepState:
    return replay(read_events(Path(swept[1].json["journal"]))[0])


def test_leaks_are_said_counted_and_scored_apart(swept: tuple[Path, Finished], state: SweepState) -> None:
    result = swept[1].json
    test_images = sum(state.plan.data.images["test"].values())
    assert (result["split"], result["leaking_test_images"]) == ("shipped", LEAKING)
    assert f"LEAK: {LEAKING} of {test_images} test images were seen in development ({LEAKING} copy)" in swept[1].stderr
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


def replace_a_test_image(data: Path, sweep: Path) -> str:
    victim = sorted((data / "deep/test/normalMR").iterdir())[0]
    victim.write_bytes(sorted((data / "deep/test/strokeMR").iterdir())[0].read_bytes())
    return victim.name


def move_a_case_to_validation(data: Path, sweep: Path) -> str:
    split = sweep / "development.csv"
    split.write_text(split.read_text().replace(",training,", ",validation,", 1))
    return "development.csv: the split was changed since the plan"


@pytest.mark.parametrize(
    "tamper",
    [replace_a_test_image, pytest.param(move_a_case_to_validation, marks=pytest.mark.faults)],
)
def test_what_changes_after_the_plan_is_refused(
    leaking_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path, Path], str]
) -> None:
    """The whole command but for its trials, which see neither test images nor the data's folder."""
    data, home = tmp_path / "set", with_store(tmp_path / "home")
    shutil.copytree(leaking_set, data)
    words: list[str] = []

    def run_trials(sweep: OpenSweep, *about: object) -> None:
        begin(sweep, 0)
        words.append(tamper(data, sweep.folder))
        sweep.append(epoch(0, 1, 0.75))
        sweep.append(TrialEnded(trial=0, state="completed", reason="all 1 epochs trained"))

    monkeypatch.setattr("orchestrator.tuning.local_ray.local_ray", lambda *about: nullcontext())
    monkeypatch.setattr("orchestrator.tuning.runner.run_trials", run_trials)
    done = run_here(home, *SMALL, "--data", data)
    assert done.exit_code == 2, done.stderr
    assert "changed since the plan" in done.stderr
    assert words[0] in done.stderr
    assert "no finalist was evaluated" in done.stderr
    assert "Traceback" not in done.stderr
    assert '"evaluation"' not in (home / "test_reads.jsonl").read_text()


def test_decoded_test_images_and_test_tables_that_changed_are_not_opened(tmp_path: Path) -> None:
    rows = [SplitRow("a.png", 0, "MR", "a.png", "test", "aa")]
    write_rows(tmp_path / "test.csv", rows)
    array = tmp_path / "images.npy"
    np.save(array, np.zeros((1, 8, 8), dtype=np.uint8))
    test = TestData(
        rows=tmp_path / "test.csv", rows_digest=digest_rows(rows), test_digest="t", arrays={"8": array},
        array_digests={"8": digest_file(array)}, ledger=tmp_path / "ledger.jsonl", who="s",
        root=tmp_path, explaining=explanation_settings(quick=True, seed=0),
    )  # fmt: skip
    assert test.open("trial 0", "8", "to see")[0] == rows
    np.save(array, np.ones((1, 8, 8), dtype=np.uint8))
    with pytest.raises(DataError, match="decoded test images were changed since the plan"):
        test.open("trial 1", "8", "to see")
    np.save(array, np.zeros((1, 8, 8), dtype=np.uint8))
    write_rows(tmp_path / "test.csv", [replace(rows[0], label=1)])
    with pytest.raises(DataError, match=r"test\.csv: the split was changed since the plan"):
        test.open("trial 2", "8", "to see")
    assert (tmp_path / "ledger.jsonl").read_text().count("\n") == 1
