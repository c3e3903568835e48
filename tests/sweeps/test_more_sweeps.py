"""Sweeps beside the main job: twice the same, two at once, real images, no MLflow. Tiny networks throughout."""

import json
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests_support import TINY, Orchestrate, clean_environment, command, with_store

from orchestrator.home import Home
from orchestrator.journal import read_events
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.store import open_store
from trainables.data.phantom import write_stroke_phantom

pytestmark = pytest.mark.sweep
SMALL = ["sweep", "stroke_hybrid", *TINY, "--trials", "5", "--epochs", "2", "--slots", "1", "--json"]


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path) -> None:
    with_store(tmp_path / "home")


def start(home: Path, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), env=clean_environment(home, **environment), cwd=home.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def journal_of(result: dict) -> SweepState:
    return replay(read_events(Path(result["journal"]))[0])


def decisions(state: SweepState) -> list:
    return [
        (
            trial.number, trial.hyperparameters, trial.seed, trial.state, trial.reason,
            [{k: v for k, v in epoch.metrics.items() if not k.startswith("perf/")} for epoch in trial.epochs],
        )
        for trial in state.trials.values()
    ]  # fmt: skip


def trial_runs(client: MlflowClient, sweep_id: str) -> list:
    experiment = client.get_experiment_by_name("stroke")
    return client.search_runs([experiment.experiment_id], f"tags.`orchestrate.sweep_id` = '{sweep_id}'")


@pytest.mark.faults
def test_two_sweeps_at_once_in_one_home_are_equal_and_not_mixed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    both = [start(home, *SMALL) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    first, second = (json.loads(stdout) for stdout, _ in outputs)
    assert first["sweep_id"] != second["sweep_id"]
    states = [journal_of(result) for result in (first, second)]
    assert decisions(states[0]) == decisions(states[1]), "one slot and one seed: the same trials, metrics and stops"
    assert first["winner"]["trial_id"] == second["winner"]["trial_id"]
    assert first["winner"]["test"] == second["winner"]["test"]
    client = open_store(Home(home), None)
    for result, state in zip((first, second), states, strict=True):
        assert len(trial_runs(client, result["sweep_id"])) == 1 + len(state.trials)
        assert result["registered"]["name"] == "stroke_phantom"
    assert {first["registered"]["version"], second["registered"]["version"]} == {"1", "2"}
    assert len(list((home / "phantoms").iterdir())) == 1
    assert not list((home / "cache").rglob("*.part-*"))


@pytest.mark.faults
def test_real_images_go_the_whole_way(orchestrate_here: Orchestrate, real_stroke: Path, tmp_path: Path) -> None:
    few = ["--trials", "2", "--finalists", "1", "--data", real_stroke / "deep"]
    refused = orchestrate_here(*SMALL, *few)
    assert refused.exit_code == 2
    assert "32 is more than the 24 training images; choose at most 24" in refused.stderr
    done = orchestrate_here(*SMALL, *few, "--set", "batch_size=8")
    assert done.exit_code == 0, done.stderr
    result = done.json
    assert (result["data_kind"], result["registered"]["name"]) == ("real", "stroke")
    state = journal_of(result)
    counts = state.plan.data.images
    assert counts["test"] == {"normal": 14, "stroke": 14}
    assert sum(counts["training"].values()) + sum(counts["validation"].values()) == 28
    assert state.plan.data.grouped_by == "audit"
    assert "no patients.csv" in done.stderr
    predicted = orchestrate_here("predict", "stroke", real_stroke / "deep" / "test" / "normalMR")
    assert len(predicted.stdout.splitlines()) == 1 + 7


@pytest.mark.faults
def test_unreadable_images_are_listed_and_a_sweep_without_result_exits_3(
    orchestrate_here: Orchestrate, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_stroke_phantom(root, train_patients=12, test_patients=8, image_px=64)
    victim = sorted((root / "deep" / "test" / "normalMR").iterdir())[0]
    victim.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "sitecustomize.py").write_text(  # read by every process of the sweep: no weights can be written
        "import safetensors.torch\n"
        "def full(*arguments): raise OSError(5, 'Input/output error', '/home/jane/x')\n"
        "safetensors.torch.save_file = full\n"
    )
    done = orchestrate_here(*SMALL, "--trials", "1", "--data", root, PYTHONPATH=str(tmp_path))
    assert done.exit_code == 3, done.stderr
    assert "no trial of 1 can be evaluated" in done.stderr
    assert "Input/output error" in done.stderr
    assert "Traceback" not in done.stderr
    assert "1 images cannot be read" in done.stderr
    (listed,) = (tmp_path / "home" / "sweeps").glob("*/unreadable.tsv")
    assert "git-LFS pointer" in listed.read_text()
    runs = trial_runs(open_store(Home(tmp_path / "home"), None), listed.parent.name)
    assert {run.info.status for run in runs} == {"FAILED"}
    assert not [run for run in runs if "/home/jane" in run.data.tags.get("orchestrate.stop_reason", "")]


@pytest.mark.faults
def test_a_store_that_is_down_costs_the_sweep_nothing(orchestrate: Orchestrate, tmp_path: Path) -> None:
    done = orchestrate(*SMALL, "--trials", "2", "--epochs", "1", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.exit_code == 0, done.stderr
    assert done.json["registered"] is None
    assert done.json["trials"] == 2
    assert done.json["winner"]["run_id"] is None
    assert done.json["tracking_uri"] == "http://127.0.0.1:9"
    assert done.stderr.count("MLflow http://127.0.0.1:9 is out of reach (Connection refused)") == 1
    assert done.stderr.count(f"orchestrate sync {done.json['sweep_id']} sends and registers it later") == 1
    sweep_id, home = done.json["sweep_id"], with_store(tmp_path / "home")
    sent = orchestrate("sync", sweep_id, "--json")
    assert sent.exit_code == 0, sent.stderr
    assert sent.json["registered"]["version"] == "1"
    state = replay(read_events(home / "sweeps" / sweep_id / "journal.jsonl")[0])
    assert state.tracked.registered.version == "1", "the journal knows it, too"
    assert state.has_completed
    found = trial_runs(open_store(Home(home), None), sweep_id)
    assert sorted(run.data.tags.get("orchestrate.trial_id", "parent") for run in found) == ["0", "1", "parent"]
