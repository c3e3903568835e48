"""What sync costs a sweep, and how fast it sends; what is compared is measured side by side in one run.

    PYTHONPATH=tests/support python tests/benchmarks/sync_rate.py [--rounds 2] [--only paced,saturated,points] [--help]

`paced`: trials that do nothing report 100 results/s in all, with sync and without in turns; the ratio of their times.
`saturated`: results/s of trials that do not nap, with sync, without, and in bare Ray Tune. `points`: a journal sent
into SQLite and to a server of one worker: metric points/s, and seconds per trial of the figures that come after.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from no_training import NoTraining, write_setup
from ray import tune
from sweep_support import make_plan, started, suggested

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, JournalWriter, SweepEnded, TrialEnded, TrialStarted
from orchestrator.open_sweep import OpenSweep, opened
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store
from orchestrator.tuning.local_ray import local_ray
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.runner import run_trials
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles

SLOTS = 2
RESULTS_PER_S = 100
METRICS = (
    *("train/loss", "train/accuracy", "val/log_loss", "val/accuracy", "val/auroc", "val/mcc", "val/f1", "val/brier"),
    *("perf/epoch_s", "perf/images_per_s"),
)


def rates(home: Home, trials: int, epochs: int, nap_s: float, synced: bool) -> float:
    """Return results per second from the first trial's start to the last one's end."""
    plan = make_plan(budget__trials=trials, budget__epochs=epochs, algorithm="random", scheduler__name="none")
    folder, stopping = home.new_sweep("rate"), Stopping()
    with opened(folder, lambda event, state: None) as sweep:
        sweep.append(started(plan, folder.name))
        setup = write_setup(folder, nap_s, epochs)
        sync = SyncProcess(folder, home, None) if synced else None
        if sync is not None:
            sync.wait_until(lambda outcome: outcome.events_sent > 0)  # its imports are over
        with local_ray(Slots(SLOTS, 1, 0.0, 0), stopping, sweep.stop_request, lambda reason: None):
            _run(sweep, setup, stopping)
        known = sweep.state.trials.values()
        wall_s = max(trial.ended_at or 0.0 for trial in known) - min(trial.started_at for trial in known)
        sweep.append(SweepEnded(state="completed"))
    if sync is not None:
        sync.close(within_s=0.0)
        sync._process.kill()  # what is left to be sent belongs to no figure here
    return trials * epochs / wall_s


def _run(sweep: OpenSweep, setup: Path, stopping: Stopping) -> None:
    files = TrialFiles(sweep.folder / "trials", sweep.state)
    run_trials(sweep, setup, Slots(SLOTS, 1, 0.0, 0), stopping, files, NoTraining)


def bare_rate(home: Home, trials: int, epochs: int) -> float:
    """Return results per second of the same trials in Ray Tune without anything of ours."""
    folder, stopping = home.new_sweep("bare"), Stopping()
    setup = write_setup(folder, 0.0, epochs)
    first_s, last_s = [], []

    class Clock(tune.Callback):
        def on_trial_start(self, **about: object) -> None:
            first_s.append(time.monotonic())

        def on_trial_complete(self, **about: object) -> None:
            last_s.append(time.monotonic())

    with local_ray(Slots(SLOTS, 1, 0.0, 0), stopping, folder / "stop", lambda reason: None):
        tune.Tuner(
            tune.with_resources(NoTraining, {"cpu": 1}),
            param_space={"setup": str(setup), "trial": tune.grid_search(list(range(trials)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(
                name="tune", storage_path=str(folder / "ray"), callbacks=[Clock()], verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()  # fmt: skip
    return trials * epochs / (max(last_s) - min(first_s))


def paced(home: Home, rounds: int) -> None:
    epochs, trials = 100, 30
    own_s = SLOTS / rates(home, SLOTS * 5, epochs, epochs * 0.01, synced=False) - 0.01  # of a result beside its nap
    nap_s = epochs * max(0.0, SLOTS / RESULTS_PER_S - own_s)
    ratios = []
    for _ in range(rounds):
        without, with_sync = (rates(home, trials, epochs, nap_s, synced) for synced in (False, True))
        ratios.append(without / with_sync)
        print(f"paced: {without:.1f} results/s without sync, {with_sync:.1f} with; {ratios[-1]:.3f}", flush=True)
    print(f"paced: sync on / sync off {statistics.median(ratios):.3f}, median of {rounds}")


def saturated(home: Home, rounds: int) -> None:
    trials, epochs = 40, 100
    kinds: dict[str, Callable[[], float]] = {
        "bare Tune": lambda: bare_rate(home, trials, epochs),
        "without sync": lambda: rates(home, trials, epochs, 0.0, False),
        "with sync": lambda: rates(home, trials, epochs, 0.0, True),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, measured in kinds.items():
            found[kind].append(measured())
            print(f"saturated, {kind}: {found[kind][-1]:.0f} results/s", flush=True)
    bare = max(found["bare Tune"])
    for kind, values in found.items():  # whatever else the machine does only slows a round
        print(
            f"saturated, {kind}: {max(values):.0f} results/s in the best round, {max(values) / bare:.2f} of bare Tune's"
        )


def points(home: Home, trials: int, epochs: int) -> None:
    """Send one journal into each store and print how long points, then figures took."""
    folder = home.new_sweep("points")
    write_journal(folder, trials, epochs)
    with tempfile.TemporaryDirectory() as name:
        database = Path(name, "mlflow.db")
        shutil.copy(home.mlflow / "mlflow.db", database)
        with mlflow_server(f"sqlite:///{database}", Path(name, "artifacts"), Address(HOST, free_port())) as url:
            for store, uri in (("SQLite", None), ("server", url)):
                sent_at_s: list[float] = []
                began_s = time.monotonic()
                catch_up(folder, home, uri, lambda sent, of, at=sent_at_s: at.append(time.monotonic()))
                points_s, figures_s = sent_at_s[-1] - began_s, time.monotonic() - sent_at_s[-1]
                count = trials * epochs * len(METRICS)
                rate = f"{count} of {trials} trials in {points_s:.1f} s, {count / points_s:.0f} points/s"
                print(f"points, {store}: {rate}; figures {figures_s / trials:.2f} s a trial", flush=True)


def write_journal(folder: Path, trials: int, epochs: int) -> None:
    """Write a sweep whose trials take turns, two at a time, as slots do."""
    with JournalWriter(folder / "journal.jsonl", lambda event: None) as journal:
        journal.append(started(make_plan(budget__trials=trials, budget__epochs=epochs), folder.name))
        for first in range(0, trials, SLOTS):
            side_by_side = range(first, min(first + SLOTS, trials))
            for number in side_by_side:
                journal.append(suggested(number))
                journal.append(TrialStarted(trial=number))
            for epoch in range(1, epochs + 1):
                for number in side_by_side:
                    metrics = {name: 0.5 + epoch / (1 + epoch + number) / 3 for name in METRICS}
                    journal.append(EpochEnded(trial=number, epoch=epoch, metrics=metrics))
            for number in side_by_side:
                journal.append(TrialEnded(trial=number, state="completed", reason=f"all {epochs} epochs trained"))
        journal.append(SweepEnded(state="completed"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="points,paced,saturated")
    parser.add_argument("--trials", type=int, default=40, help="of the journal of `points`")
    parser.add_argument("--epochs", type=int, default=50, help="of the journal of `points`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        open_store(home, None)
        for kind in options.only.split(","):
            if kind == "points":
                points(home, options.trials, options.epochs)
            else:
                {"paced": paced, "saturated": saturated}[kind](home, options.rounds)


if __name__ == "__main__":
    main()
