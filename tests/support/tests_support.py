"""What tests of whole commands share: a clean environment, the command itself, real images where they are."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REAL_DATA = Path(os.environ.get("ORCHESTRATE_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
SECRET = "no-record-may-hold-this"  # stands in the environment of every command
AS_ON_TWO_CORES = ["--preset", "quick", "--slots", "2"]  # what auto means there; other machines would do more
TINY = [
    "--preset",
    "quick",
    "--set",
    "resnet=test_resnet",
    "--set",
    "vit=test_vit",
    "--set",
    "image_px=32",
    "--set",
    "hidden=32",
]


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.stdout)


Orchestrate = Callable[..., Finished]


def clean_environment(home: Path, **changes: str) -> dict[str, str]:
    own = ("ORCHESTRATE_HOME", "ORCHESTRATE_DATA", "MLFLOW_TRACKING_URI")
    kept = {key: value for key, value in os.environ.items() if key not in own}
    return kept | {"ORCHESTRATE_HOME": str(home), "STORE_TOKEN": SECRET} | changes


def command(*arguments: str | Path) -> list[str]:
    return [str(Path(sys.executable).with_name("orchestrate")), *map(str, arguments)]


@contextmanager
def all_cores() -> Iterator[None]:
    """Let commands use every core, not only that of this process of tests."""
    if sys.platform != "linux":
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def with_store(home: Path) -> Path:
    """Give a new home the empty store that its first command would spend seconds on."""
    template = Path(tempfile.gettempdir()) / f"orchestrate-store-{os.getpid()}"
    if not template.exists():
        from orchestrator.home import Home
        from orchestrator.tracking.store import open_store

        atexit.register(shutil.rmtree, template, ignore_errors=True)
        open_store(Home(template), None)
    if not (home / "mlflow").exists():
        shutil.copytree(template / "mlflow", home / "mlflow")
    return home


def run_command(home: Path, *arguments: str | Path, timeout_s: float = 400, **environment: str) -> Finished:
    done = subprocess.run(
        command(*arguments),
        env=clean_environment(home, **environment),
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
