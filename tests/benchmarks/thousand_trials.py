"""How long a sweep of many trials takes to be looked at: leaderboard, status, sync, report, and MLflow's saved view.

    PYTHONPATH=tests/support python tests/benchmarks/thousand_trials.py [--trials 1000] [--epochs 10]

The journal is simulated. Commands are timed as whole processes, pages beside an empty one in the same Chromium.
"""

import argparse
import random
import subprocess
import tempfile
import time
from pathlib import Path

from browser_support import CHROMIUM, document_of
from sweep_support import make_plan, started
from tests_support import clean_environment, command

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, Event, JournalWriter, SweepEnded, TrialEnded, TrialStarted, TrialSuggested
from orchestrator.space import FloatRange
from orchestrator.tracking.saved_views import LEADERBOARD, shipped_views
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store


def simulated(trials: int, epochs: int) -> list[Event]:
    """Return the events of a sweep whose trials learn at different speeds, three of four stopped early."""
    plan = make_plan(budget__trials=trials, budget__epochs=epochs)
    (architecture,) = plan.architectures
    searched = {name: one for name, one in plan.architectures[architecture].items() if isinstance(one, FloatRange)}
    events: list[Event] = [started(plan, "many")]
    for number in range(trials):
        draw = random.Random(number)
        values = {name: draw.uniform(one.low, one.high) for name, one in searched.items()}
        everything = {name: one.default for name, one in plan.architectures[architecture].items()} | values
        events.append(
            TrialSuggested(
                trial=number, architecture=architecture, hyperparameters=everything, seed=number, published=number == 0
            )
        )
        events.append(TrialStarted(trial=number))
        speed, last = draw.random(), epochs if number % 4 == 0 else max(1, epochs // 3)
        for epoch in range(1, last + 1):
            auroc = 0.5 + 0.45 * (1 - (1 - 0.6 * speed) ** epoch) + draw.gauss(0, 0.01)
            metrics = {"val/auroc": min(1.0, auroc), "val/log_loss": 1.2 - auroc, "train/loss": 1.1 - auroc}
            events.append(EpochEnded(trial=number, epoch=epoch, metrics=metrics | {"perf/epoch_s": 2.0}))
        whole = last == epochs
        reason = f"all {epochs} epochs trained" if whole else f"ASHA at epoch {last}: below the rung's cut"
        events.append(TrialEnded(trial=number, state="completed" if whole else "pruned", reason=reason))
    return [*events, SweepEnded(state="completed")]


def timed(home: Path, *arguments: str) -> float:
    """Return the wall seconds of a command."""
    began_s = time.perf_counter()
    subprocess.run(command(*arguments), env=clean_environment(home), check=True, capture_output=True)
    return time.perf_counter() - began_s


def opened_s(url: str) -> float:
    """Return the wall seconds in which a browser opens a page and its scripts come to rest."""
    began_s = time.perf_counter()
    document_of(url, "--window-size=1400,900", rests_within_ms=5000)
    return time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        home = Home(root)
        open_store(home, None)  # its tables are made once
        folder = home.new_sweep("many", "many")
        with JournalWriter(folder / "journal.jsonl", lambda event: None) as journal:
            for event in simulated(options.trials, options.epochs):
                journal.append(event)
        size_mib = (folder / "journal.jsonl").stat().st_size / 2**20
        print(
            f"{options.trials} trials, journal {size_mib:.1f} MiB; start-up alone {timed(root, 'list', 'tasks'):.1f} s"
        )
        for words in (["leaderboard", "many"], ["status", "many"], ["report", "many"], ["sync", "many"]):
            print(f"orchestrate {words[0]}: {timed(root, *words):.1f} s", flush=True)
        if CHROMIUM is None:
            print("no Chromium on PATH: pages were not opened")
            return
        empty_s = min(opened_s("about:blank") for _ in range(3))
        page = folder / "report" / "index.html"
        report_s = min(opened_s(page.as_uri()) for _ in range(3)) - empty_s
        print(f"report: {page.stat().st_size / 2**20:.1f} MiB, opens in {report_s:.1f} s")
        view = shipped_views(open_store(home, None))[0].addresses[LEADERBOARD.name]
        with mlflow_server(
            f"sqlite:///{home.mlflow / 'mlflow.db'}", home.mlflow / "artifacts", Address(HOST, free_port())
        ) as url:
            first_s = opened_s(url + view) - empty_s
            again_s = min(opened_s(url + view) for _ in range(2)) - empty_s
        print(
            f"MLflow's saved view: opens in {first_s:.1f} s, again in {again_s:.1f} s "
            f"(an empty page takes {empty_s:.1f} s)"
        )


if __name__ == "__main__":
    main()
