"""Twelve small trials three ways on two slots: this project, a tutorial-style Ray Tune script, two Optuna processes.

    PYTHONPATH=tests/support python tests/benchmarks/twelve_trials.py --data DIR/alzheimer_parquet [--image-px 64]

Twelve learning rates of the Alzheimer baseline, the same rows, seeds and training loop for all; the other two are given
the images that this project decoded, and train nothing else. Printed: wall seconds from command to end over the epochs'
own seconds divided by the slots, and the largest difference between the final losses. Ours audits the data, evaluates
finalists on test, registers and reports besides; its trials alone stand apart.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests_support import clean_environment, command

from orchestrator.journal import read_events
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_state import replay

SLOTS = 2
RATES = [1e-3, *(round(1e-4 * 1.5**n, 7) for n in range(11))]
COMMON = """
import json, sys, time
import numpy as np, torch
from pathlib import Path
from orchestrator.tuning.trial_setup import TrialSetup
from trainables.catalog import default_hyperparameters
from trainables.data.split_rows import read_rows
from trainables.training.development import load_development
from trainables.training.loop import train
from trainables.training.run import TrainingRun

setup = TrialSetup.model_validate_json(Path(sys.argv[1]).read_text())
trials = json.loads(Path(sys.argv[2]).read_text())
scratch = Path(sys.argv[3])


def objective(number):
    torch.set_num_threads(1)
    rows = read_rows(setup.development, setup.development_digest)
    (side_px,) = setup.arrays
    data = load_development(rows, setup.arrays[side_px], "cpu")
    folder = scratch / f"{number:04d}"
    folder.mkdir(parents=True, exist_ok=True)
    run = TrainingRun(
        architecture="baseline_cnn", hyperparameters=trials[number]["hyperparameters"], num_classes=4, pretrained=False,
        epochs=setup.epochs, seed=trials[number]["seed"], metric=setup.metric, device="cpu", folder=folder,
    )
    records = list(train(run, data))
    (folder / "done.json").write_text(json.dumps([record.metrics for record in records]))
    return records
"""
RAY_TUNE = (
    COMMON
    + """
from ray import tune
from ray.tune.search.optuna import OptunaSearch


def trainable(config):
    for record in objective(config["number"]):
        tune.report({"loss": record.metrics["val/log_loss"]})


tune.Tuner(
    tune.with_resources(trainable, {"cpu": 1}),
    param_space={"number": tune.grid_search(list(range(len(trials))))},
    tune_config=tune.TuneConfig(metric="loss", mode="min"),
    run_config=tune.RunConfig(storage_path=str(scratch / "ray"), verbose=0),
).fit()
"""
)
OPTUNA = (
    COMMON
    + """
import optuna

study = optuna.create_study(
    storage=f"sqlite:///{scratch}/study.db", study_name="twelve", direction="minimize", load_if_exists=True
)
half = range(int(sys.argv[4]), len(trials), 2)
for number in half:
    study.enqueue_trial({"number": number})
study.optimize(
    lambda trial: objective(trial.suggest_int("number", 0, 11))[-1].metrics["val/log_loss"], n_trials=len(half)
)
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--image-px", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        losses = {"this project": ours(root, options.data, options.epochs, options.image_px)}
        for title, script, processes in (("Ray Tune script", RAY_TUNE, 1), ("two Optuna processes", OPTUNA, 2)):
            losses[title] = theirs(root, title, script, processes)
    apart = max(abs(a - b) for other in losses.values() for a, b in zip(losses["this project"], other, strict=True))
    print(f"largest difference between final losses: {apart:.2g}")


def ours(root: Path, data: Path, epochs: int, image_px: int) -> list[float]:
    points = ", ".join(f"{{lr: {rate}}}" for rate in RATES[1:])
    line = ["sweep", "alzheimer_cnn", "--data", data, "--architectures", "baseline_cnn",
            "--trials", len(RATES), "--epochs", epochs, "--slots", SLOTS,
            "--preset", "quick", "--set", f"search.enqueue={{baseline_cnn: [{points}]}}",
            "--set", f"image_px={image_px}", "--set", "scheduler.name=none",
            "--finalists", "1", "--id", "twelve", "--json"]  # fmt: skip
    for _ in range(2):  # the first decodes and audits, as the first sweep on a set does
        home = root / "home"
        began_s = time.monotonic()
        done = subprocess.run(
            command(*map(str, line)), env=clean_environment(home), cwd=root, capture_output=True, text=True, check=True
        )
        wall_s = time.monotonic() - began_s
        result = json.loads(done.stdout)
        state = replay(read_events(Path(result["journal"]))[0])
        floor_s = result["epoch_compute_s"] / SLOTS
        trials = list(state.trials.values())
        alone_s = max(trial.ended_at or 0 for trial in trials) - min(trial.started_at for trial in trials)
        print(
            f"this project: {wall_s:.1f} s, {wall_s / floor_s:.2f} x the floor of {floor_s:.1f} s; from first trial to "
            f"last {alone_s:.1f} s, {alone_s / floor_s:.2f} x",
            flush=True,
        )
        setup = home / "sweeps" / result["sweep_id"] / "trial_setup.json"
        (root / "setup.json").write_text(setup.read_text())
        line[line.index("--id") + 1] = "again"
    told = [{"hyperparameters": trial.hyperparameters, "seed": trial.seed} for trial in trials]
    assert [trial.seed for trial in trials] == [child_seed(0, SeedPath.TRIAL, n) for n in range(len(RATES))]
    (root / "trials.json").write_text(json.dumps(told))
    return [trial.epochs[-1].metrics["val/log_loss"] or 0.0 for trial in trials]


def theirs(root: Path, title: str, script: str, processes: int) -> list[float]:
    scratch = root / title.replace(" ", "_")
    scratch.mkdir()
    (scratch / "script.py").write_text(script)
    began_s = time.monotonic()
    line = [sys.executable, scratch / "script.py", root / "setup.json", root / "trials.json", scratch]
    environment = clean_environment(root / "home", OMP_NUM_THREADS="1", RAY_AIR_NEW_OUTPUT="0")
    started = []
    for n in range(processes):
        with (scratch / f"{n}.log").open("w") as log:
            own = [*map(str, line), str(n)]
            started.append(subprocess.Popen(own, env=environment, cwd=root, stdout=subprocess.DEVNULL, stderr=log))
    codes = [process.wait() for process in started]
    wall_s = time.monotonic() - began_s
    assert codes == [0] * processes, (scratch / "0.log").read_text()[-2000:]
    epochs = [json.loads((scratch / f"{n:04d}" / "done.json").read_text()) for n in range(len(RATES))]
    floor_s = sum(epoch["perf/epoch_s"] for trial in epochs for epoch in trial) / SLOTS
    print(f"{title}: {wall_s:.1f} s, {wall_s / floor_s:.2f} x the floor of {floor_s:.1f} s", flush=True)
    return [trial[-1]["val/log_loss"] for trial in epochs]


if __name__ == "__main__":
    main()
