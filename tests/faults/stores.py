"""Sweeps that train nothing against MLflow stores that misbehave; then MLflow and journal are held together.

    PYTHONPATH=tests/support python tests/faults/stores.py [--only killed,locked] [--trials 12] [--nap-s 6] [--help]

Kinds: an undisturbed server and embedded store; `killed`, a server ended with kill -9 after a third of the epochs and
back after two thirds; `absent`, one that comes only after the sweep; `slow`, 5 s before each answer; `errors`, answers
spoilt for a while (429, 500 before and after the work, lost connections); `locked`, another process holds the SQLite
file for 30 s. Each must end with every run, point, parameter and status once; the sweep's time stands beside the
undisturbed one.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from no_training import NoTraining, write_setup
from points_support import Compared, compare_points
from store_support import Spoilt, kill_server, locked, proxy_of
from sweep_support import make_plan, started

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, SweepEnded
from orchestrator.open_sweep import opened
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import outcome_file, read_outcome
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store
from orchestrator.tuning.local_ray import local_ray
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.runner import run_trials
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles

SLOTS = 2
DELAY_S, LOCKED_S = 5.0, 30.0
SEND_WITHIN_S = 1800.0
SPOILT = (Spoilt(429, False), Spoilt(500, False), Spoilt(500, True), Spoilt(None, True), Spoilt(504, True))


@dataclass
class Case:
    """One kind of store and what came of a sweep that was sent to it."""

    kind: str
    wall_s: float = 0.0
    sent_after_s: float = 0.0  # the sweep's end
    sent_by: str = "sync"  # or by `orchestrate sync`, where it had given up when the sweep ended
    said: list[str] = field(default_factory=list)
    compared: Compared = field(default_factory=Compared)


class Progress:
    """Epochs of the sweep so far; `at` runs something in a thread of its own once a share of them has ended."""

    def __init__(self, of: int) -> None:
        self._of, self._ended = of, 0
        self._plans: list[tuple[float, Callable[[], None]]] = []
        self._threads: list[threading.Thread] = []

    def at(self, share: float, do: Callable[[], None]) -> None:
        self._plans.append((share, do))

    def hear(self, event: object, state: object) -> None:
        self._ended += isinstance(event, EpochEnded)
        for plan in [plan for plan in self._plans if self._ended >= plan[0] * self._of]:
            self._plans.remove(plan)
            self._threads.append(threading.Thread(target=plan[1]))
            self._threads[-1].start()

    def join(self) -> None:
        assert not self._plans, "the sweep ended before its fault"
        for thread in self._threads:
            thread.join()


@contextmanager
def store_of(kind: str, home: Home, progress: Progress) -> Iterator[tuple[str | None, Callable[[], None]]]:
    """Yield the URI that the sweep is sent to, and what makes the store well again after it."""
    folder, port = home.root / "server", free_port()
    folder.mkdir()
    with ExitStack() as stack:

        def start_server() -> str:
            uri = f"sqlite:///{folder / 'mlflow.db'}"
            return stack.enter_context(mlflow_server(uri, folder / "artifacts", Address(HOST, port)))

        if kind in ("embedded", "locked"):
            if kind == "locked":
                progress.at(1 / 3, lambda: hold_locked(home.mlflow / "mlflow.db"))
            yield None, lambda: None
            return
        shutil.copy(home.mlflow / "mlflow.db", folder / "mlflow.db")
        if kind == "absent":
            yield f"http://127.0.0.1:{port}", lambda: print("  the server comes:", start_server(), flush=True)
            return
        url = start_server()
        if kind == "killed":
            progress.at(1 / 3, lambda: kill_server(port))
            progress.at(2 / 3, lambda: print("  the server is back:", start_server(), flush=True))
        if kind in ("slow", "errors"):
            proxy = stack.enter_context(proxy_of(url))
            url = proxy.url
            if kind == "slow":
                proxy.delay_s = DELAY_S
            else:
                rng = random.Random(0)
                of_calls = (*SPOILT, *[None] * 7)
                progress.at(0.1, lambda: setattr(proxy, "spoil", lambda method, path, nth: rng.choice(of_calls)))
                progress.at(0.8, lambda: setattr(proxy, "spoil", lambda method, path, nth: None))
            yield url, lambda: setattr(proxy, "delay_s", 0.0)  # what was sent is to be compared, soon
            return
        yield url, lambda: None


def hold_locked(database: Path) -> None:
    with locked(database):
        time.sleep(LOCKED_S)


def run_case(kind: str, trials: int, epochs: int, nap_s: float) -> Case:
    case, progress = Case(kind), Progress(trials * epochs)
    with tempfile.TemporaryDirectory(prefix=f"stores-{kind}-") as name:
        home = Home(Path(name))
        open_store(home, None)  # its tables are made once
        with store_of(kind, home, progress) as (uri, mend):
            folder = home.new_sweep(kind)
            run_sweep(case, home, folder, uri, progress, trials, epochs, nap_s)
            progress.join()
            mend()
            if read_outcome(outcome_file(folder, home, uri)).error is not None:
                case.sent_by = "later"
                catch_up(folder, home, uri, lambda sent, of: None)
            case.compared = compare_points(open_store(home, uri), folder)
    return case


def run_sweep(
    case: Case, home: Home, folder: Path, uri: str | None, progress: Progress, trials: int, epochs: int, nap_s: float
) -> None:
    """Run trials as a sweep does, journal and sync on, and wait until sync has sent all or given up."""
    plan = make_plan(budget__trials=trials, budget__epochs=epochs, algorithm="random", scheduler__name="none")
    slots, stopping = Slots(SLOTS, 1, 0.0, 0), Stopping()
    with opened(folder, progress.hear) as sweep:
        sweep.append(started(plan, folder.name))
        setup = write_setup(folder, nap_s, epochs)
        sync = SyncProcess(folder, home, uri, case.said.append)
        with local_ray(slots, stopping, sweep.stop_request, lambda reason: None):
            run_trials(sweep, setup, slots, stopping, TrialFiles(folder / "trials", sweep.state), NoTraining)
        sweep.append(SweepEnded(state="completed"))
        ended = [trial.ended_at or 0.0 for trial in sweep.state.trials.values()]
        case.wall_s = max(ended) - min(trial.started_at for trial in sweep.state.trials.values())
    began_s = time.monotonic()
    sync.close(SEND_WITHIN_S)
    case.sent_after_s = time.monotonic() - began_s


def faults_of(case: Case) -> list[str]:
    """Return what is red of a case, a line each."""
    faults = list(case.compared.faults)
    if len(case.said) > 2:
        faults.append(f"it said {len(case.said)} times how its store is: {case.said}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = ("killed", "absent", "slow", "errors", "locked")
    parser.add_argument("--only", default=",".join(kinds), help=f"some of {','.join(kinds)}")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--nap-s", type=float, default=6.0, help="how long each trial naps in all")
    options = parser.parse_args()
    cases: list[Case] = []
    for kind in ("embedded", "server", *options.only.split(",")):
        print(f"{kind} ...", flush=True)
        cases.append(run_case(kind, options.trials, options.epochs, options.nap_s))
        for line in cases[-1].said:
            print(f"  said: {line}", flush=True)
    undisturbed_s = min(case.wall_s for case in cases[:2])
    print(f"{'store':10} {'sweep s':>8} {'ratio':>6} {'sent s':>7} {'by':5}  points missing doubled twins wrong said")
    red = 0
    for case in cases:
        found, faults = case.compared, faults_of(case)
        red += bool(faults)
        print(
            f"{case.kind:10} {case.wall_s:8.1f} {case.wall_s / undisturbed_s:6.3f} {case.sent_after_s:7.1f} "
            f"{case.sent_by:5} "
            f"{found.points:7} {len(found.missing):7} {len(found.doubled):7} {len(found.twins):5} "
            f"{len(found.wrong):5} {len(case.said):4}"
        )
        for line in faults[:10]:
            print(f"    red: {line}")
    sys.exit(1 if red else 0)


if __name__ == "__main__":
    main()
