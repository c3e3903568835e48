"""A small sweep in a process of its own, on data that leak, which is broken off and goes on."""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from process_support import descendants
from tests_support import TINY, clean_environment, command, with_store

from orchestrator.open_sweep import state_of
from orchestrator.sweep_state import SweepState
from trainables.data.phantom import write_stroke_phantom

TRIALS, EPOCHS = 3, 8
BUDGET = ["--trials", TRIALS, "--epochs", EPOCHS, "--finalists", 1, "--folds", 2, "--slots", 1]
BUDGET += ["--set", "scheduler.name=none"]
LEAKING = 6


def write_leaking_set(root: Path) -> Path:
    """Write a phantom whose test side holds six training images under other names."""
    root.mkdir()
    write_stroke_phantom(root, train_patients=16, test_patients=6, image_px=64)
    for number, source in enumerate(sorted((root / "deep/train/1- Stroke/StrokeBT").iterdir())[:LEAKING]):
        (root / "deep/test/strokeBT" / f"again ({number}){source.suffix}").write_bytes(source.read_bytes())
    return root


def line_of(sweep_id: str, *arguments: object) -> list[str]:
    line = ["sweep", "stroke_hybrid", *TINY, *BUDGET, "--id", sweep_id, "--witness", "--json", *arguments]
    return list(map(str, line))


def change_module(folder: Path, name: str, code: str) -> None:
    """Let every process that has `folder` on its PYTHONPATH run code on a module once it is loaded, as `module`."""
    (folder / "sitecustomize.py").write_text(
        f"NAME, CODE = {name!r}, {code!r}\n"
        "import importlib.util, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name != NAME:\n"
        "            return None\n"
        "        sys.meta_path.remove(self)\n"
        "        spec = importlib.util.find_spec(name)\n"
        "        run = spec.loader.exec_module\n"
        "        def exec_module(module):\n"
        "            run(module)\n"
        "            exec(CODE, {'module': module})\n"
        "        spec.loader.exec_module = exec_module\n"
        "        return spec\n"
        "sys.meta_path.insert(0, Finder())\n"
    )


def hear_ctrl_c() -> None:
    """Undo what a shell does to commands that it starts in the background: they ignore Ctrl-C, and so would a sweep."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Started:
    """A sweep in a process of its own."""

    def __init__(self, home: Path, sweep_id: str, *arguments: object, **environment: str) -> None:
        self.home, self.folder = home, home / "sweeps" / sweep_id
        line = command(*line_of(sweep_id, *arguments))
        self.process = subprocess.Popen(
            line, env=clean_environment(with_store(home), **environment), cwd=home.parent, text=True,
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

    def ctrl_c(self) -> "BrokenOff":
        """Break it off as a user does, and wait for its end."""
        family = [self.process.pid, *descendants(self.process.pid)]
        self.process.send_signal(signal.SIGINT)
        code, _, stderr = self.ended()
        return BrokenOff(code, stderr, family, state_of(self.folder))

    def ended(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=300)
        return self.process.returncode, stdout, stderr


@dataclass(frozen=True)
class BrokenOff:
    """A sweep that ended before its time: how, what it said, the processes it had, and what its journal holds."""

    exit_code: int
    stderr: str
    family: list[int]
    state: SweepState


def epochs_in(state: SweepState) -> int:
    return sum(len(trial.epochs) for trial in state.trials.values())
