"""README's main job, held from outside: what it prints, what MLflow has, what the journal says, what the model does."""

import csv
import io
import json
import math
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests_support import SECRET, Finished, clean_environment, run_here

from orchestrator.home import Home
from orchestrator.journal import read_events
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.store import open_store

pytestmark = pytest.mark.sweep
STATUS = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


@pytest.fixture(scope="module")
def client(demo: tuple[Path, Finished]) -> MlflowClient:
    return open_store(Home(demo[0]), None)


@pytest.fixture(scope="module")
def state(demo: tuple[Path, Finished]) -> SweepState:
    return replay(read_events(Path(demo[1].json["journal"]))[0])


def test_json_is_one_object_with_the_contracts_keys(demo: tuple[Path, Finished]) -> None:
    result = demo[1].json
    assert set(result) >= {
        "sweep_id", "task", "data_kind", "trials", "states", "winner", "registered", "journal", "report",
        "tracking_uri", "wall_s", "epoch_compute_s", "slots",
    }  # fmt: skip
    assert set(result["states"]) == {"completed", "pruned", "failed"}
    assert (result["task"], result["data_kind"]) == ("stroke", "phantom")
    assert set(result["winner"]) >= {"trial_id", "architecture", "run_id", "validation", "test"}
    registered = result["registered"]
    assert (registered["name"], registered["version"]) == ("stroke_phantom", "1")
    alias = "champion" if registered["decision"].endswith("checks passed") else "challenger"
    assert registered["aliases"] == [alias]
    assert alias == "champion" or registered["decision"].startswith("refused: ")
    assert result["winner"]["test_groups"] > 1
    assert result["winner"]["test"].pop("quadratic_kappa") == [None, None, None], "stroke or not has no order"
    for name, (value, low, high) in result["winner"]["test"].items():
        assert value >= (-1 if name == "mcc" else 0)
        if name.startswith("ece"):
            assert low is None and high is None
        else:
            assert low <= value <= high, name
            assert low < high, name
    assert Path(result["report"]).is_file()
    assert "phantom data" in demo[1].stderr
    assert "preset quick" in demo[1].stderr


def test_trials_were_tried_stopped_and_finished(client: MlflowClient) -> None:
    experiment = client.get_experiment_by_name("stroke")
    runs = client.search_runs([experiment.experiment_id], "tags.`orchestrate.role` = 'trial'")
    states = {int(run.data.tags["orchestrate.trial_id"]): run.data.tags["orchestrate.state"] for run in runs}
    assert len(states) == len(runs) >= 8
    stopped = [run for run in runs if run.data.tags["orchestrate.stop_reason"].startswith("ASHA")]
    assert len(stopped) >= 2
    assert any(number > 0 and end == "completed" for number, end in states.items())


def test_mlflow_holds_every_run_and_every_metric_point_once(client: MlflowClient, state: SweepState) -> None:
    experiment = client.get_experiment_by_name("stroke")
    runs = client.search_runs([experiment.experiment_id])
    by_role = Counter(run.data.tags["orchestrate.role"] for run in runs)
    assert by_role == {"sweep": 1, "trial": len(state.trials)}
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    parent = next(run for run in runs if run.data.tags["orchestrate.role"] == "sweep")
    assert parent.info.status == "FINISHED"
    for run in runs:
        if run is parent:
            continue
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        trial = state.trials[int(run.data.tags["orchestrate.trial_id"])]
        assert run.info.status == STATUS[trial.state]
        assert run.data.tags["orchestrate.stop_reason"] == trial.reason
        assert set(trial.hyperparameters) <= set(run.data.params)
        names = {name for epoch in trial.epochs for name in epoch.metrics}
        for name in names:
            journal = [
                (epoch.epoch, epoch.metrics[name]) for epoch in trial.epochs if epoch.metrics.get(name) is not None
            ]
            points = client.get_metric_history(run.info.run_id, name)
            assert [(point.step, point.value) for point in points] == journal, (trial.number, name)
        if trial.best is not None:
            assert run.data.metrics["best/auroc"] == trial.validation["auroc"]
            figures = {item.path for item in client.list_artifacts(run.info.run_id, "figures")}
            assert figures == {"figures/confusion_matrix_validation.png", "figures/training_curves.png"}


def test_nothing_of_this_machine_or_its_environment_stands_in_mlflow(demo: tuple[Path, Finished]) -> None:
    home, _ = demo
    secrets = (str(home), str(Path.home()) + "/", SECRET)
    with_locations = ("runs", "experiments", "model_versions", "logged_models")  # where artifacts lie, and no more
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as store:
        told = [
            line
            for line in store.iterdump()
            if not line.startswith(tuple(f'INSERT INTO "{t}"' for t in with_locations))
        ]
    assert any("orchestrate.architecture" in line for line in told)
    assert [line[:300] for line in told if any(secret in line for secret in secrets)] == []
    files = [path for path in (home / "mlflow" / "artifacts").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "plan.json",
        "audit.html",
        "samples.png",
        "split.csv",
        "weights.safetensors",
    }
    hold = [path.name for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]
    assert hold == []


def test_figures_stand_in_the_image_grid_and_data_in_the_dataset_column(
    client: MlflowClient, state: SweepState
) -> None:
    experiment = client.get_experiment_by_name("stroke")
    for run in client.search_runs([experiment.experiment_id], "tags.`orchestrate.role` = 'trial'"):
        (dataset,) = run.inputs.dataset_inputs
        assert (dataset.dataset.name, dataset.dataset.digest) == ("stroke_phantom", state.plan.data.digest)
        if state.trials[int(run.data.tags["orchestrate.trial_id"])].best is not None:
            shown = [Path(item.path).name for item in client.list_artifacts(run.info.run_id, "images")]
            keys = sorted(name.split("+")[0] for name in shown if name.endswith(".png"))
            assert keys == ["confusion_matrix_validation", "training_curves"], "each once"


def test_the_winner_is_best_by_validation_and_only_finalists_saw_test(state: SweepState) -> None:
    completed = [trial for trial in state.trials.values() if trial.state == "completed"]
    best = max(completed, key=lambda trial: (trial.validation["auroc"], -trial.validation["log_loss"]))
    assert state.winner == best.number
    assert set(state.finalists) <= {trial.number for trial in completed}
    assert len(state.finalists) == min(len(completed), state.plan.budget.finalists)
    for number, finalist in state.finalists.items():
        for name, value in state.trials[number].validation.items():
            assert finalist.validation[name] == pytest.approx(value, abs=1e-5), "best weights, evaluated again"


def test_finalists_are_judged_by_modality_and_class(client: MlflowClient, state: SweepState) -> None:
    experiment = client.get_experiment_by_name("stroke")
    runs = client.search_runs([experiment.experiment_id], "tags.`orchestrate.finalist` = 'true'")
    assert len(runs) == len(state.finalists)
    for run in runs:
        metrics = run.data.metrics
        for modality in ("BT", "MR"):
            assert metrics[f"test/{modality}/images"] == 32
            assert 0 <= metrics[f"test/{modality}/auroc"] <= 1
        assert metrics["test/class_stroke/recall"] == metrics["test/sensitivity"]
        assert metrics["temperature"] > 0
        assert {"test/ece_calibrated", "test/operating_point/sensitivity"} <= set(metrics)
        files = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "evaluation")}
        assert files >= {"metrics.json", "summary_statistics.csv", "stroke_classification_results.csv"}
        explained = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "evaluation/explanations")}
        assert explained >= {"explanations.json", "proof.png", "cases.csv", "maps.npz"}
        assert any(name.startswith("panel_") for name in explained)
        assert any(re.fullmatch(r"explanations/.*/map/early_deletion", name) for name in metrics)


def test_the_report_is_an_artifact_with_the_finalists_figures(
    client: MlflowClient, demo: tuple[Path, Finished], state: SweepState
) -> None:
    page = Path(demo[1].json["report"])
    text = page.read_text(encoding="utf-8")
    assert "had not ended" not in text, "it is of the sweep's end"
    assert state.tracked is not None
    sent = {item.path for item in client.list_artifacts(state.tracked.run_id, "report")}
    assert sent == {"report/index.html", "report/figures"}
    for number in state.finalists:
        for name in (f"figures/{number:04d}/test/roc.png", f"figures/{number:04d}/explanations/proof.png"):
            assert f'src="{name}"' in text
            assert (page.parent / name).is_file()


def test_no_trial_is_told_where_the_test_images_are(demo: tuple[Path, Finished]) -> None:
    folder = Path(demo[1].json["journal"]).parent
    setup = (folder / "trial_setup.json").read_text()
    assert "cache/development/" in setup
    assert "cache/test" not in setup
    assert "test.csv" not in setup


def test_predict_gives_the_probabilities_of_the_finalist(demo: tuple[Path, Finished], state: SweepState) -> None:
    home, _ = demo
    finalist = home / "sweeps" / state.started.sweep_id / "finalists" / f"{state.winner:04d}"
    expected = {row["path"]: row for row in csv.DictReader((finalist / "stroke_classification_results.csv").open())}
    (phantom,) = (home / "phantoms").iterdir()
    done = run_here(home, "predict", "stroke_phantom", phantom / "deep" / "test")
    assert done.exit_code == 0
    assert f"stroke_phantom version 1 ({demo[1].json['registered']['aliases'][0]})" in done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["path", "predicted", "p_normal", "p_stroke", "model_version"]
    assert len(rows) == len(expected) == 64
    temperature = json.loads((finalist / "metrics.json").read_text())["temperature"]["value"]
    for row in rows:
        own = expected[Path(row["path"]).relative_to(phantom).as_posix()]
        assert row["predicted"] == own["predicted_label"]
        odds = math.exp((float(own["logit_stroke"]) - float(own["logit_normal"])) / temperature)
        assert float(row["p_stroke"]) == pytest.approx(odds / (1 + odds), abs=1e-5), "temperature applied"
        assert float(row["p_normal"]) + float(row["p_stroke"]) == pytest.approx(1, abs=1e-5)


def test_predict_leaves_unreadable_files_out(demo: tuple[Path, Finished], tmp_path: Path) -> None:
    home, _ = demo
    image = next((home / "phantoms").rglob("*.png"))
    (tmp_path / "good (1).png").write_bytes(image.read_bytes())
    (tmp_path / "empty.jpg").write_bytes(b"")
    out = tmp_path / "predictions.csv"
    done = run_here(home, "predict", "stroke_phantom@1", tmp_path, "--out", out)
    assert done.exit_code == 0
    assert "empty.jpg: left out, empty file" in done.stderr
    assert [Path(row["path"]).name for row in csv.DictReader(out.open())] == ["good (1).png"]
    done = run_here(home, "predict", "stroke_phantom", tmp_path / "empty.jpg")
    assert done.exit_code == 2
    done = run_here(home, "predict", "stroke_phantom", tmp_path / "good (1).png", "--out", tmp_path / "good (1).png")
    assert done.exit_code == 2
    assert "is one of the images or tables that are read" in done.stderr
    assert (tmp_path / "good (1).png").read_bytes() == image.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "stroke", "{image}"], "there is one trained on phantom data only: stroke_phantom"),
        (["predict", "strok", "{image}"], "did you mean 'stroke'"),
        (["predict", "stroke_phantom@{alias}s", "{image}"], "did you mean '{alias}'"),
        (["predict", "stroke_phantom", "nowhere.png"], "nowhere.png: no such file or folder"),
        (["models", "stroke_fantom"], "did you mean 'stroke_phantom'"),
        (["leaderboard", "strok"], "did you mean 'stroke'"),
    ],
)  # fmt: skip
def test_wrong_names_are_one_line(demo: tuple[Path, Finished], arguments: list[str], words: str) -> None:
    home, finished = demo
    image, alias = next((home / "phantoms").rglob("*.png")), finished.json["registered"]["aliases"][0]
    done = run_here(home, *[argument.format(image=image, alias=alias) for argument in arguments])
    assert done.exit_code == 2
    assert words.format(alias=alias) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_leaderboard_and_lists_read_the_journal(demo: tuple[Path, Finished], state: SweepState) -> None:
    home, finished = demo
    board = run_here(home, "leaderboard", "stroke_phantom", "--json").json
    assert board["task"] == "stroke"
    scores = [row["validation"]["auroc"] for row in board["rows"]]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in board["rows"]] == [1 + scores.index(score) for score in scores]
    assert {"rank", "architecture", "trial_id", "run_id", "validation", "test", "epochs", "stop_reason"} <= set(
        board["rows"][0]
    )
    assert all(row["parameters"] > 1e6 and row["seconds"] > 0 for row in board["rows"])
    assert board["apart"] == []
    same = run_here(home, "leaderboard", finished.json["sweep_id"], "--csv").stdout
    assert len(same.splitlines()) == 1 + len(state.trials)
    runs = run_here(home, "list", "runs", "--json").json["runs"]
    assert [row["sweep_id"] for row in runs] == [finished.json["sweep_id"]]
    versions = run_here(home, "models", "stroke_phantom", "--json").json["versions"]
    assert [version["aliases"] for version in versions] == [demo[1].json["registered"]["aliases"]]
    verified = run_here(home, "verify", "stroke_phantom", "--json")
    assert (verified.exit_code, verified.json["holds"]) == (0, True)
    names = {check["name"] for check in verified.json["checks"]}
    assert {"evidence.json", "model_card.md", "failures.png", "model files", "numbers"} <= names
    assert {"explanations/explanations.json", "explanations/proof.png", "explanations/cases.csv"} <= names


def test_the_evidence_tells_where_the_model_comes_from_and_names_no_file(
    demo: tuple[Path, Finished], state: SweepState
) -> None:
    (folder,) = (demo[0] / "mlflow" / "artifacts" / "stroke" / "models").glob("*/artifacts/evidence")
    evidence = json.loads((folder / "evidence.json").read_text())
    winner = state.trials[state.winner]
    assert (evidence["trial"], evidence["seed"], evidence["architecture"]) == (
        winner.number, winner.seed, winner.architecture,
    )  # fmt: skip
    assert evidence["licence"] == "synthetic images, made by this project"
    assert evidence["audit"]["verdict"] and evidence["cost"]["parameters"] > 1e6 and evidence["cost"]["image_ms"] > 0
    assert (folder / "failures.png").read_bytes().startswith(b"\x89PNG")
    with (demo[0] / "sweeps" / state.started.sweep_id / "test.csv").open(newline="") as file:
        names = {Path(row["path"]).name for row in csv.DictReader(file)}
    assert list(folder.glob("explanations/panel_*.png"))
    for path in folder.rglob("*.*"):
        content = path.read_bytes()
        assert not [name for name in names if name.encode() in content], path


def test_nothing_of_the_user_reaches_mlflow(demo: tuple[Path, Finished], client: MlflowClient) -> None:
    home, _ = demo
    experiment = client.get_experiment_by_name("stroke")
    for run in client.search_runs([experiment.experiment_id]):
        assert str(home) not in json.dumps([run.data.tags, run.data.params])
    repository = str(Path(__file__).parents[2])
    files = [path for path in (home / "mlflow" / "artifacts").rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        for private in (str(home.parent), repository, "/tmp/"):
            assert private.encode() not in content, path


def test_the_registered_model_stands_alone(demo: tuple[Path, Finished], tmp_path: Path) -> None:
    home, _ = demo
    (model,) = (home / "mlflow" / "artifacts" / "stroke" / "models").glob("*/artifacts")
    image = next((home / "phantoms").rglob("*.png"))
    code = (
        "import sys, mlflow, pandas as pd\n"
        "sys.path = [p for p in sys.path if p]\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('orchestrator', 'trainables', 'search_spaces'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"model = mlflow.pyfunc.load_model({str(model)!r})\n"
        f"frame = model.predict(pd.DataFrame({{'image': [open({str(image)!r}, 'rb').read()]}}))\n"
        "assert abs(frame[['p_normal', 'p_stroke']].sum(axis=1).item() - 1) < 1e-5\n"
    )
    environment = clean_environment(home) | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
