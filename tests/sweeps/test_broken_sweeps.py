"""Sweeps whose processes, trials or disk fail: nothing lost, nothing twice, and the rest goes on."""

import subprocess
import time
from pathlib import Path

import pytest
from cluster_support import free_ports
from process_support import descendants, is_alive
from record_support import compare, forget_what_was_sent, records_of
from started_sweep import EPOCHS, TRIALS, Started, change_module, epochs_in, line_of
from tests_support import TINY, run_command, run_here, with_store

from orchestrator.open_sweep import state_of

pytestmark = [pytest.mark.sweep, pytest.mark.faults]
ENDS_WITHIN_S = 20  # design.md's contract for signals


def test_a_killed_driver_loses_nothing(leaking_set: Path, tmp_path: Path) -> None:
    """tests/faults/run.py kills far more."""
    home = tmp_path / "home"
    sweep = Started(home, "killed", "--data", leaking_set)
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
    undisturbed = with_store(tmp_path / "undisturbed")
    first = run_here(undisturbed, *line_of("whole", "--data", leaking_set))
    assert first.exit_code == 0
    whole = records_of(undisturbed / "sweeps" / "whole", undisturbed)
    assert found.suggestions == whole.suggestions
    assert found.journal == whole.journal
    assert done.json["winner"]["test"] == first.json["winner"]["test"]


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


def test_a_trial_that_misbehaves_takes_nothing_with_it(leaking_set: Path, tmp_path: Path) -> None:
    """Trials 1 to 5 each do something else that a training may do to its process, in their second epoch."""
    crashes = "".join(f"    if number == {n}:\n        {code}\n" for n, code in enumerate(CRASHES.values(), start=1))
    change_module(
        tmp_path,
        "orchestrator.tuning.trial",
        f"def misbehave(number):\n{crashes}"
        "begin = module.begin_training\n"
        "def begun(config, setup, watch=None):\n"
        "    for record in begin(config, setup, watch):\n"
        "        yield record\n"
        "        misbehave(config.trial)\n"
        "module.begin_training = begun\n",
    )
    home = tmp_path / "home"
    done = run_command(
        with_store(home), "sweep", "stroke_hybrid", *TINY, "--data", leaking_set, "--trials", "6", "--epochs", "2",
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


def test_a_full_disk_ends_the_sweep_and_it_can_be_resumed(leaking_set: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(  # no process can write weights after some have been
        "import safetensors.torch, os, pathlib\n"
        "whole = safetensors.torch.save_file\n"
        "def full(tensors, path, *rest):\n"
        "    if '0001' in str(path): raise OSError(28, 'No space left on device', str(path))\n"
        "    return whole(tensors, path, *rest)\n"
        "safetensors.torch.save_file = full\n"
    )
    home = tmp_path / "home"
    line = ["sweep", "stroke_hybrid", *TINY, "--data", leaking_set, "--trials", 3, "--epochs", 2, "--slots", 1,
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


def test_stop_ends_a_sweep_of_another_terminal(leaking_set: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    sweep = Started(
        home, "elsewhere", "--data", leaking_set, "--time-budget", "2h", "--max-disk", "1GiB", "--epochs", 5000
    )
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


def test_sigterm_in_a_long_epoch_with_the_store_away_ends_in_time(leaking_set: Path, tmp_path: Path) -> None:
    change_module(
        tmp_path,
        "trainables.training.learner",
        "import time\n"
        "train = module.Learner.train_epoch\n"
        "def slowly(self, epoch, watch=None):\n"
        "    time.sleep(30 if epoch > 1 else 0)\n"
        "    return train(self, epoch, watch)\n"
        "module.Learner.train_epoch = slowly\n",
    )
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    sweep = Started(
        tmp_path / "home", "slow", "--data", leaking_set, MLFLOW_TRACKING_URI=nobody, PYTHONPATH=str(tmp_path)
    )
    sweep.wait_for(lambda state: epochs_in(state) >= 1)
    time.sleep(3)
    family = [sweep.process.pid, *descendants(sweep.process.pid)]
    began_s = time.monotonic()
    sweep.process.terminate()
    code, _, stderr = sweep.ended()
    assert (code, time.monotonic() - began_s < ENDS_WITHIN_S) == (130, True), stderr
    assert "orchestrate resume slow" in stderr and "Traceback" not in stderr
    assert state_of(sweep.folder).trials[0].last_epoch == 1
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and any(map(is_alive, family)):
        time.sleep(0.2)
    assert not [pid for pid in family if is_alive(pid)], "orphans"
