"""What tests of whole commands share: a clean environment, the command itself, real images where they are."""

import atexit
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
    if not (home / "mlflow").exists():
        shutil.copytree(_template_home("store") / "mlflow", home / "mlflow")
    return home


def with_phantom(home: Path) -> Path:
    """Give a new home the stroke phantom that its first command would spend seconds on."""
    if not (home / "phantoms").exists():
        shutil.copytree(_template_home("phantom") / "phantoms", home / "phantoms")
    return home


def _template_home(what: str) -> Path:
    """Return a home with an empty store, or with the stroke phantom; made once by each process of tests."""
    from orchestrator.home import Home
    from orchestrator.inspecting.data import find_data
    from orchestrator.tracking.store import open_store
    from trainables.catalog import TASKS

    template = Path(tempfile.gettempdir()) / f"orchestrate-{what}-{os.getpid()}"
    if not template.exists():
        atexit.register(shutil.rmtree, template, ignore_errors=True)
        if what == "store":
            open_store(Home(template), None)
        else:
            find_data(TASKS["stroke"], None, None, Home(template))
    return template


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


def run_here(home: Path, *arguments: str | Path, **environment: str) -> Finished:
    """Run a command in this process, which spares the start of one: seconds of imports for each.

    Environment, folder, known tasks and signal handlers are as before then.
    """
    from orchestrator.cli.main import main
    from trainables import catalog

    home.parent.mkdir(exist_ok=True)
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    kept, known = dict(os.environ), set(catalog.TASKS)
    environment_here = clean_environment(home, **environment)
    with pytest.MonkeyPatch.context() as patch, chdir(home.parent):
        patch.setattr(sys, "argv", ["orchestrate", *map(str, arguments)])
        os.environ.clear()
        os.environ.update(environment_here)
        try:
            with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
                main()
        finally:
            os.environ.clear()
            os.environ.update(kept)
            for task in set(catalog.TASKS) - known:
                del catalog._TASKS[task]
            for number, handler in handlers.items():
                signal.signal(number, handler)
    said = [stream.buffer.getvalue().decode() for stream in (stdout, stderr)]  # type: ignore[attr-defined]
    return Finished(int(ended.value.code or 0), *said)
