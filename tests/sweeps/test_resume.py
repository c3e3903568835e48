"""Sweeps that are ended in the middle and go on: nothing lost, nothing twice, the same proposals."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from process_support import descendants, is_alive, titled
from record_support import compare, forget_what_was_sent, records_of
from tests_support import TINY, clean_environment, command, run_command, run_here, with_store

from orchestrator.journal import SweepEnded, TrialStarted, read_events
from orchestrator.open_sweep import state_of
from orchestrator.sweep_state import SweepState
from trainables.data.phantom import write_stroke_phantom

pytestmark = pytest.mark.sweep
TRIALS, EPOCHS = 3, 8
BUDGET = ["--trials", TRIALS, "--epochs", EPOCHS, "--finalists", 1, "--slots", 1, "--set", "scheduler.name=none"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("resumed") / "set"
    root.mkdir()
    write_stroke_phantom(root, train_patients=16, test_patients=6, image_px=64)
    return root


def hear_ctrl_c() -> None:
    """Undo what a shell does to commands that it starts in the background: they ignore Ctrl-C, and so would a sweep."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def line_of(sweep_id: str, *arguments: object) -> list[str]:
    line = ["sweep", "stroke_hybrid", *TINY, *BUDGET, "--id", sweep_id, "--witness", "--json", *arguments]
    return list(map(str, line))


class Started:
    """A sweep in a process of its own."""

    def __init__(self, home: Path, sweep_id: str, *arguments: object) -> None:
        self.home, self.folder = home, home / "sweeps" / sweep_id
        line = command(*line_of(sweep_id, *arguments))
        self.process = subprocess.Popen(
            line, env=clean_environment(with_store(home)), cwd=home.parent, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=hear_ctrl_c,
        )  # fmt: skip

    def wait_for(self, happened: Callable[[SweepState], bool]) -> None:
        deadline = time.monotonic() + 300
        while not (self._has_begun() and happened(state_of(self.folder))):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)

    def _has_begun(self) -> bool:
        path = self.folder / "journal.jsonl"
        return path.is_file() and b"\n" in path.read_bytes()

    def ended(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=300)
        return self.process.returncode, stdout, stderr


def epochs_in(state: SweepState) -> int:
    return sum(len(trial.epochs) for trial in state.trials.values())


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    done = run_here(with_store(home), *line_of("whole", "--data", data))
    assert done.exit_code == 0, done.stderr
    return home, done.json


def test_ctrl_c_keeps_every_epoch_and_resume_goes_on_as_if_nothing_had_been(
    data: Path, undisturbed: tuple[Path, dict], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    sweep = Started(home, "broken", "--data", data)
    sweep.wait_for(lambda state: epochs_in(state) >= EPOCHS + 3)
    family = [sweep.process.pid, *descendants(sweep.process.pid)]
    assert len(family) > 3, "ray and sync are running"
    sweep.process.send_signal(signal.SIGINT)
    code, _, stderr = sweep.ended()
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "orchestrate resume broken" in stderr
    deadline = time.monotonic() + 120  # a loaded machine may take long; orphans would stay
    while time.monotonic() < deadline and any(map(is_alive, family)):
        time.sleep(0.2)
    assert not [titled(pid) for pid in family if is_alive(pid)], "orphans"
    before = state_of(sweep.folder)
    assert (before.ended.state, before.trials[1].state) == ("interrupted", "interrupted")
    known = before.trials[1].last_epoch
    said = run_here(home, "status", "broken")
    assert "interrupted by the user" in said.stdout
    assert "to go on: orchestrate resume broken" in said.stdout

    victim = next((data / "deep/train/1- Stroke/StrokeMR").iterdir())
    kept = victim.read_bytes()
    victim.write_bytes(next((data / "deep/train/2- Control/NormalMR").iterdir()).read_bytes())
    refused = run_here(home, "resume", "broken")
    victim.write_bytes(kept)
    assert refused.exit_code == 2
    assert "data or sweep file changed since it was started: data.digest was" in refused.stderr
    assert "Traceback" not in refused.stderr

    done = run_here(home, "resume", "broken", "--json")
    assert done.exit_code == 0, done.stderr
    found = records_of(sweep.folder, home)
    assert compare(found, TRIALS, EPOCHS) == []
    assert found.redone_epochs() == 0, "the last finished epoch was kept"
    starts = [event for event in read_events(sweep.folder / "journal.jsonl")[0] if isinstance(event, TrialStarted)]
    assert [event.after_epoch for event in starts if event.trial == 1] == [0, known]
    whole = records_of(undisturbed[0] / "sweeps" / "whole", undisturbed[0])
    assert found.suggestions == whole.suggestions
    assert found.journal == whole.journal
    assert done.json["winner"]["test"] == undisturbed[1]["winner"]["test"]


@pytest.mark.faults  # tests/faults/run.py kills far more
def test_a_killed_driver_loses_nothing(data: Path, undisturbed: tuple[Path, dict], tmp_path: Path) -> None:
    home = tmp_path / "home"
    sweep = Started(home, "killed", "--data", data)
    sweep.wait_for(lambda state: epochs_in(state) >= EPOCHS + 4)
    family = [sweep.process.pid, *descendants(sweep.process.pid)]
    for pid in family:
        subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)
    sweep.process.communicate(timeout=60)
    path = sweep.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-9])  # torn
    forget_what_was_sent(sweep.folder)
    for state in sorted((sweep.folder / "trials").glob("*/state_epoch_*.pt"))[-1:]:
        state.write_bytes(b"damaged")
    assert run_command(home, "status", "killed", "--json").json["state"] == "killed"
    done = run_command(home, "resume", "killed", "--json")
    assert done.exit_code == 0, done.stderr
    found = records_of(sweep.folder, home)
    assert compare(found, TRIALS, EPOCHS) == []
    whole = records_of(undisturbed[0] / "sweeps" / "whole", undisturbed[0])
    assert found.suggestions == whole.suggestions
    assert found.journal == whole.journal


def test_a_finished_sweep_goes_on_with_more_trials_and_epochs(undisturbed: tuple[Path, dict]) -> None:
    home, first = undisturbed
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
    assert [end.state for end in ends] == ["completed", "completed"]


def test_a_trial_is_replayed_to_the_bit(undisturbed: tuple[Path, dict]) -> None:
    done = run_here(undisturbed[0], "replay", "whole", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["largest_difference"] == 0
    assert len(done.json["epochs"]) >= EPOCHS
    unknown = run_here(undisturbed[0], "replay", "whole", "9")
    assert unknown.exit_code == 2
    assert "trial 9 has no epoch to compare with; those that have: 0, 1, 2" in unknown.stderr


CRASHES = {
    "segfault": "import ctypes; ctypes.string_at(0)",
    "exit": "import sys; sys.exit(3)",
    "unpicklable": "raise type('Odd', (Exception,), {'__reduce__': lambda self: 1 / 0})('odd')",
    "hang": "import time; time.sleep(600)",
    "killed once": (
        "import os, pathlib; mark = pathlib.Path(os.environ['ONCE']);"
        "mark.exists() or (mark.touch(), os.kill(os.getpid(), 9))"
    ),
}


@pytest.mark.faults
def test_a_trial_that_misbehaves_takes_nothing_with_it(data: Path, tmp_path: Path) -> None:
    """Trials 1 to 5 each do something else that a training may do to its process, in their second epoch."""
    lines = [f"    if number == {n}:\n        {code}" for n, code in enumerate(CRASHES.values(), start=1)]
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "def misbehave(number):\n" + "\n".join(lines) + "\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != 'orchestrator.tuning.trial':\n"
        "            return None\n"
        "        sys.meta_path.remove(self)\n"
        "        spec = importlib.util.find_spec(name)\n"
        "        run = spec.loader.exec_module\n"
        "        def exec_module(module):\n"
        "            run(module)\n"
        "            begin = module.begin_training\n"
        "            def begun(config, setup, watch=None):\n"
        "                for record in begin(config, setup, watch):\n"
        "                    yield record\n"
        "                    misbehave(config.trial)\n"
        "            module.begin_training = begun\n"
        "        spec.loader.exec_module = exec_module\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    home = tmp_path / "home"
    done = run_command(
        with_store(home), "sweep", "stroke_hybrid", *TINY, "--data", data, "--trials", "6", "--epochs", "2",
        "--slots", "2", "--finalists", "1", "--id", "odd", "--json", "--set", "scheduler.name=none",
        "--set", "budget.epoch_timeout_s=20", PYTHONPATH=str(tmp_path), ONCE=str(tmp_path / "once"),
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    state = state_of(home / "sweeps" / "odd")
    reasons = {name: (state.trials[n].state, state.trials[n].reason) for n, name in enumerate(CRASHES, start=1)}
    assert reasons["segfault"] == ("failed", "its process crashed: Segmentation fault")
    assert reasons["hang"] == ("failed", "hanging: no epoch ended within 20 s, so its process was ended")
    assert reasons["exit"][0] == reasons["unpicklable"][0] == "failed"
    assert reasons["killed once"] == ("completed", "all 2 epochs trained"), "killed from outside, it goes on"
    assert (state.trials[0].state, len(state.trials)) == ("completed", 6)
    log = run_command(home, "logs", "odd")
    assert "Segmentation fault" in log.stdout
    assert "time.sleep" in log.stdout or "misbehave" in log.stdout, "the stack of the hang"


@pytest.mark.faults
def test_a_full_disk_ends_the_sweep_and_it_can_be_resumed(data: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(  # no process can write weights after some have been
        "import safetensors.torch, os, pathlib\n"
        "whole = safetensors.torch.save_file\n"
        "def full(tensors, path, *rest):\n"
        "    if '0001' in str(path): raise OSError(28, 'No space left on device', str(path))\n"
        "    return whole(tensors, path, *rest)\n"
        "safetensors.torch.save_file = full\n"
    )
    home = tmp_path / "home"
    line = ["sweep", "stroke_hybrid", *TINY, "--data", data, "--trials", 3, "--epochs", 2, "--slots", 1,
            "--finalists", 1, "--id", "full", "--json"]  # fmt: skip
    done = run_command(with_store(home), *map(str, line), PYTHONPATH=str(tmp_path))
    assert done.exit_code == 1, done.stderr
    assert "the disk is full: a trial found no room for its weights" in done.stderr
    assert "orchestrate resume full" in done.stderr
    assert "Traceback" not in done.stderr
    state = state_of(home / "sweeps" / "full")
    assert (state.trials[0].state, state.trials[1].state) == ("completed", "interrupted")
    resumed = run_command(home, "resume", "full", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.json["trials"] == 3
    assert resumed.json["states"]["failed"] == 0


@pytest.mark.faults
def test_stop_ends_a_sweep_of_another_terminal(data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    sweep = Started(home, "elsewhere", "--data", data, "--time-budget", "2h", "--max-disk", "1GiB", "--epochs", 5000)
    sweep.wait_for(lambda state: epochs_in(state) >= 3)
    second = run_command(home, "resume", "elsewhere")
    assert (second.exit_code, "is run by process" in second.stderr) == (2, True), second.stderr
    assert run_command(home, "status", "elsewhere", "--json").json["state"] == "running"
    stopped = run_command(home, "stop", "elsewhere")
    assert stopped.exit_code == 0, stopped.stderr
    assert "orchestrate resume elsewhere" in stopped.stderr
    assert sweep.ended()[0] == 130
    again = run_command(home, "stop", "elsewhere")
    assert (again.exit_code, "nobody runs it" in again.stderr) == (2, True)
