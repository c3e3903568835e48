"""What a trial costs beside its training: no-op trials through the function that runs a sweep's, journal and sync on.

    PYTHONPATH=tests/support python tests/benchmarks/trial_overhead.py [--trials 100,1000] [--sampler random] [--help]

Each trial takes four epochs that do nothing but bring a state of 10 kB to disk, of which two are kept. Printed:
milliseconds per trial between one number of trials and the next (start-up cancels out), the sampler's share, and, with
--sleep-s, how long slots idled.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from no_training import EPOCHS, NoTraining, write_setup
from sweep_support import make_plan, started

from orchestrator.home import Home
from orchestrator.open_sweep import OpenSweep, opened
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.store import open_store
from orchestrator.tuning import searcher as searcher_module
from orchestrator.tuning.local_ray import local_ray
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.runner import run_trials
from orchestrator.tuning.scheduler import FairScheduler
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles


class Timed:
    """Seconds spent in a function."""

    def __init__(self, owner: Any, name: str) -> None:
        self.seconds, whole = 0.0, getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            began_s = time.perf_counter()
            try:
                return whole(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - began_s

        setattr(owner, name, timed)


def run(
    home: Home, trials: int, slots: int, sampler: str, nap_s: float, synced: bool
) -> tuple[float, list[tuple[float, float]]]:
    """Return the seconds from the first trial's start to the last one's end, and start and end of each."""
    plan = make_plan(budget__trials=trials, budget__epochs=EPOCHS, algorithm=sampler, scheduler__name="none")
    folder = home.new_sweep("overhead")
    spans: dict[int, list[float]] = {}
    with opened(folder, lambda event, state: None) as sweep:
        sweep.append(started(plan, folder.name))
        setup = write_setup(folder, nap_s)
        sync = SyncProcess(folder, home, None) if synced else None
        stopping = Stopping()
        with local_ray(Slots(slots, 1, 0.0, 0), stopping, sweep.stop_request, lambda reason: None):
            _run(sweep, setup, Slots(slots, 1, 0.0, 0), stopping)
        for trial in sweep.state.trials.values():
            spans[trial.number] = [trial.started_at, trial.ended_at or 0.0]
        if sync is not None:
            sync.close(within_s=0.0)
            sync._process.kill()  # it draws two figures for every trial, which takes longer than trials that do nothing
    _time_replay(folder)
    first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    return last - first, [(a, b) for a, b in spans.values()]


def _time_replay(folder: Path) -> None:
    """Print how long a resumed sweep takes to know what was done: journal, studies and rungs."""
    began_s = time.perf_counter()
    with opened(folder, lambda event, state: None) as sweep:
        FairScheduler(sweep.state, sweep.past)
        searcher_module.OptunaSearcher(sweep, folder / "trial_setup.json", [], Stopping(), lambda: 1)
        read_s = time.perf_counter() - began_s
        print(f"a journal of {len(sweep.state.trials)} trials is taken in within {read_s:.1f} s", flush=True)


def _run(sweep: OpenSweep, setup: Path, slots: Slots, stopping: Stopping) -> None:
    run_trials(sweep, setup, slots, stopping, TrialFiles(sweep.folder / "trials", sweep.state), NoTraining)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="100,1000")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--sleep-s", type=float, default=0.0, help="how long each trial naps in all")
    parser.add_argument("--no-sync", action="store_true", help="without the process that talks to MLflow")
    options = parser.parse_args()
    asked = Timed(searcher_module.Studies, "ask")
    before = (0, 0.0, 0.0)
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        open_store(home, None)  # its tables are made once
        for trials in map(int, options.trials.split(",")):
            asked.seconds = 0.0
            wall_s, spans = run(home, trials, options.slots, options.sampler, options.sleep_s, not options.no_sync)
            busy_s = sum(end - begin for begin, end in spans)
            more = trials - before[0]
            print(
                f"{trials} trials of {EPOCHS} epochs on {options.slots} slots, {options.sampler}: {wall_s:.1f} s; "
                f"{1000 * (wall_s - before[1]) / more:.1f} ms per further trial, of which the sampler "
                f"{1000 * (asked.seconds - before[2]) / more:.1f} ms",
                flush=True,
            )
            if options.sleep_s:
                ideal_s = options.sleep_s * trials / options.slots
                print(
                    f"ideal {ideal_s:.1f} s, ratio {wall_s / ideal_s:.3f}; slots without a trial "
                    f"{1 - busy_s / (options.slots * wall_s):.1%} of the time"
                )
            before = (trials, wall_s, asked.seconds)


if __name__ == "__main__":
    main()
