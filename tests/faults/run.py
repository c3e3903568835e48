"""Kill what can be killed of a sweep at a random moment, resume it, and hold journal, MLflow and a witness together.

    python tests/faults/run.py --cases 60 --seed 1 [--only driver,raylet] [--without fsync|tags] [--trials N] [--help]

The witness is what each trial's process wrote down by itself (`sweep --witness`). A case is red where the resumed
sweep does not end with every trial, every epoch once, one MLflow run per trial, none open, and all three records equal;
on one slot also where its epochs are not those of a sweep that nothing disturbed.
`--without` takes a safeguard out, to see that the harness then goes red. A case takes 40 s on two quick cores.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from process_support import descendants, is_alive, titled
from record_support import Records, compare, forget_what_was_sent, records_of
from started_sweep import hear_ctrl_c
from tests_support import TINY, clean_environment, command

from orchestrator.tuning.trial_log import WITNESS

SETTINGS = ["--finalists", "1", "--set", "scheduler.name=asha", "--set", "scheduler.grace_epochs=3"]
TRIALS, EPOCHS = 4, 8
HOOKS = Path(__file__).parent / "hooks"
START_S, END_S, PER_TRIAL_S = 120.0, 180.0, 15.0
MOST_RESUMES = 3


@dataclass
class Case:
    """One fault and what came of it."""

    number: int
    fault: str
    slots: int
    after_epochs: int
    trials: int = TRIALS
    epochs: int = EPOCHS
    faults_found: list[str] = field(default_factory=list)
    end_s: float = 0.0
    redone_epochs: int = 0
    resume_s: float | None = None
    orphans: int = 0

    @property
    def within_s(self) -> float:
        """How long it may take after its start."""
        return END_S + PER_TRIAL_S * self.trials


@dataclass
class Running:
    """A sweep's process, its folder, and the home that it runs in."""

    process: "subprocess.Popen[str]"
    folder: Path

    def pids(self, title: str) -> list[int]:
        return [pid for pid in descendants(self.process.pid) if title in titled(pid)]

    def epochs(self) -> int:
        try:
            return (self.folder / "journal.jsonl").read_text().count('"epoch_ended"')
        except OSError:
            return 0

    def wait_for(self, happened: Callable[[], bool], within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self.process.poll() is None:
            if happened():
                return True
            time.sleep(0.03)
        return happened()


class NothingToBreakError(Exception):
    """A fault met nothing: its case would be green for no reason."""


def kill(pids: list[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def at_work(running: Running, title: str) -> list[int]:
    found = running.pids(title)
    if not found:
        raise NothingToBreakError
    return found


def driver(running: Running, rng: random.Random) -> None:
    kill([running.process.pid])


def actor(running: Running, rng: random.Random) -> None:
    kill([rng.choice(at_work(running, "ray::ResourceTrainable"))])


def raylet(running: Running, rng: random.Random) -> None:
    kill(at_work(running, "raylet/raylet"))


def gcs(running: Running, rng: random.Random) -> None:
    kill(at_work(running, "gcs_server"))


def sync(running: Running, rng: random.Random) -> None:
    kill(at_work(running, "orchestrator.tracking.sync"))


def everything(running: Running, rng: random.Random) -> None:
    pids = descendants(running.process.pid)
    kill([running.process.pid, *pids])


def sigterm(running: Running, rng: random.Random) -> None:
    kill([running.process.pid], signal.SIGTERM)


def twice(running: Running, rng: random.Random) -> None:
    """An impatient user: the second signal ends it at once."""
    kill([running.process.pid], signal.SIGINT)
    time.sleep(rng.uniform(0.2, 2))
    kill([running.process.pid], signal.SIGINT)


def group(running: Running, rng: random.Random) -> None:
    """What a batch system does: SIGTERM to the driver and to all that belongs to it."""
    kill([running.process.pid, *descendants(running.process.pid)], signal.SIGTERM)


def torn(running: Running, rng: random.Random) -> None:
    everything(running, rng)
    running.process.wait()
    path = running.folder / "journal.jsonl"
    content = path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(content[: rng.randint(last + 1, len(content) - 1)])


def power(running: Running, rng: random.Random) -> None:
    """The machine goes: of journal and trials' files only what was brought to disk is left, of sync's note nothing."""
    everything(running, rng)
    running.process.wait()
    path = running.folder / "journal.jsonl"
    note = running.folder.parent.parent / f"{running.folder.name}.synced"
    try:
        synced = int(note.read_text())
    except (OSError, ValueError):
        synced = 0
    os.truncate(path, min(synced, path.stat().st_size))
    notes = note.with_name(f"{note.name}.files")
    on_disk = set(map(int, notes.read_text().split())) if notes.exists() else set()
    own = [path for path in (running.folder / "trials").rglob("*") if path.is_file() and path.name != WITNESS]
    for path in own:
        if path.stat().st_ino not in on_disk:
            os.truncate(path, 0)
    forget_what_was_sent(running.folder)


def checkpoint(running: Running, rng: random.Random) -> None:
    running.wait_for(lambda: any(running.folder.glob("trials/*/state_epoch_*.pt")), END_S)  # none may be there just now
    everything(running, rng)
    running.process.wait()
    trials = sorted((running.folder / "trials").glob("*"))
    newest = [states[-1] for trial in trials if (states := sorted(trial.glob("state_epoch_*.pt")))]
    if not newest:
        raise NothingToBreakError
    for path in newest:
        path.write_bytes(path.read_bytes()[: rng.randint(0, 2000)])


FAULTS = {
    f.__name__: f
    for f in (driver, actor, raylet, gcs, sync, everything, sigterm, twice, group, torn, power, checkpoint)
}
GOES_ON_BY_ITSELF = ("actor", "sync")
ENDS_WITHIN_S = {"sigterm": 20.0, "group": 20.0, "twice": 5.0}
MOST_REDONE_S = 60.0  # of a trial, where that is more than one epoch


def sweep_arguments(sweep_id: str, case: Case) -> list[str]:
    budget = ["--trials", str(case.trials), "--epochs", str(case.epochs), "--slots", str(case.slots)]
    return ["sweep", "stroke_hybrid", *TINY, *SETTINGS, *budget, "--id", sweep_id, "--witness", "--json"]


def start(home: Path, arguments: list[str], without: str, sweep_id: str) -> Running:
    folder = home / "sweeps" / sweep_id
    environment = clean_environment(
        home, PYTHONPATH=f"{HOOKS}:{os.environ.get('PYTHONPATH', '')}", FAULTS_WITHOUT=without,
        FAULTS_SYNCED=str(home / f"{sweep_id}.synced"),
    )  # fmt: skip
    log = (home.parent / f"{sweep_id}.log").open("a")
    process = subprocess.Popen(
        command(*arguments), env=environment, cwd=home.parent, text=True, stdout=subprocess.PIPE, stderr=log,
        start_new_session=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    return Running(process, folder)


def run_case(case: Case, home: Path, rng: random.Random, without: str, reference: Records | None) -> Records | None:
    """Run one case to its resumed end and write into it what was found."""
    sweep_id = f"case-{case.number}-{case.fault}"
    running = start(home, sweep_arguments(sweep_id, case), without, sweep_id)
    if not running.wait_for(lambda: running.epochs() >= case.after_epochs, START_S + case.within_s):
        case.faults_found.append("the sweep ended before its fault")
    time.sleep(rng.uniform(0, 0.4))
    family = [running.process.pid, *descendants(running.process.pid)]
    if case.fault != "none":
        try:
            FAULTS[case.fault](running, rng)
        except NothingToBreakError:
            case.faults_found.append("nothing to break")
    began_s = time.monotonic()
    code = end_of(running, case)
    case.end_s = time.monotonic() - began_s
    if case.fault in ENDS_WITHIN_S and (code != 130 or case.end_s > ENDS_WITHIN_S[case.fault]):
        case.faults_found.append(f"it ended with exit {code} after {case.end_s:.1f} s")
    for _ in range(MOST_RESUMES):
        if code == 0:
            break
        code = resume(home, sweep_id, without, running.folder, case, family)
    wait_for_end(family, case)  # not before: whoever resumes does not wait until Ray's agents are gone
    if code != 0:
        case.faults_found.append(f"it cannot be resumed: exit {code}")
        return None
    found = records_of(running.folder, home)
    case.redone_epochs = found.redone_epochs()
    epochs, seconds = found.most_redone()
    if epochs > 1 and seconds > MOST_REDONE_S:
        case.faults_found.append(f"{epochs} epochs of a trial were redone, {seconds:.0f} s")
    case.faults_found += compare(found, case.trials, case.epochs)
    if reference is not None and case.slots == 1 and found.suggestions != reference.suggestions:
        case.faults_found.append("other suggestions than an undisturbed sweep")
    if reference is not None and case.slots == 1 and found.journal != reference.journal:
        case.faults_found.append("other epochs than an undisturbed sweep")
    return found


def end_of(running: Running, case: Case) -> int:
    try:
        running.process.communicate(timeout=case.within_s)
    except subprocess.TimeoutExpired:
        case.faults_found.append("it hangs")
        kill([running.process.pid, *descendants(running.process.pid)])
        running.process.communicate()
    code = running.process.returncode
    if code not in (0, 130, -signal.SIGKILL, -signal.SIGTERM):
        case.faults_found.append(f"it ended with exit {code}")
    if case.fault in GOES_ON_BY_ITSELF and code != 0:
        case.faults_found.append(f"it ended with exit {code} though it could have gone on")
    return code


def wait_for_end(family: list[int], case: Case) -> None:
    deadline = time.monotonic() + 90  # Ray's agents look for a core that is gone for up to a minute
    while time.monotonic() < deadline and any(map(is_alive, family)):
        time.sleep(0.1)
    orphans = [pid for pid in family if is_alive(pid)]
    if orphans:
        case.orphans = len(orphans)
        case.faults_found.append(f"orphans: {', '.join(titled(pid)[:60] for pid in orphans)}")
        kill(orphans)


def resume(home: Path, sweep_id: str, without: str, folder: Path, case: Case, family: list[int]) -> int:
    """Let the sweep go on; return its exit code, and add its processes to the family."""
    lines = (folder / "journal.jsonl").read_text().count('"trial_started"')
    began_s = time.monotonic()
    running = start(home, ["resume", sweep_id, "--json"], without, sweep_id)

    def went_on() -> bool:
        text = (folder / "journal.jsonl").read_text()
        return text.count('"trial_started"') > lines or '"winner_chosen"' in text

    if running.wait_for(went_on, START_S):
        case.resume_s = time.monotonic() - began_s
    family += descendants(running.process.pid)
    return end_of(running, case)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=len(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(FAULTS))
    parser.add_argument("--without", choices=["", "fsync", "tags"], default="")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each trial")
    parser.add_argument("--out", type=Path, default=Path("var/faults"))
    options = parser.parse_args()
    home = (options.out / f"home-{options.seed}").absolute()
    home.mkdir(parents=True, exist_ok=True)
    rng = random.Random(options.seed)
    kinds = options.only.split(",")
    budget = {"trials": options.trials, "epochs": options.epochs}
    undisturbed = Case(-1, "none", 1, 1, **budget)
    reference = run_case(undisturbed, home, rng, "", None)
    print(f"undisturbed: {undisturbed.faults_found or 'all three records are equal'}", flush=True)
    if reference is None or undisturbed.faults_found:
        sys.exit(1)
    last = len(reference.journal) - EPOCHS  # later the sweep may end before its fault
    cases = []
    for number in range(options.cases):
        case = Case(number, kinds[number % len(kinds)], rng.choice((1, 2)), rng.randint(1, max(1, last)), **budget)
        run_case(case, home, rng, options.without, reference)
        cases.append(case)
        print(json.dumps(asdict(case)), flush=True)
    red = [case for case in cases if case.faults_found]
    redone = [case.redone_epochs for case in cases]
    resumed = sorted(case.resume_s for case in cases if case.resume_s is not None)
    print(
        f"{len(cases)} cases, {len(red)} red; epochs redone: {sum(redone)} in all, at most {max(redone, default=0)} a "
        f"case; seconds to resume: median {resumed[len(resumed) // 2]:.1f}, most {resumed[-1]:.1f}"
        if resumed
        else f"{len(cases)} cases, {len(red)} red"
    )
    sys.exit(1 if red else 0)


if __name__ == "__main__":
    main()
