"""What tests of whole commands share: a clean environment, the command itself, real images where they are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REAL_DATA = Path(os.environ.get("ORCHESTRATE_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
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
    return kept | {"ORCHESTRATE_HOME": str(home)} | changes


def command(*arguments: str | Path) -> list[str]:
    return [str(Path(sys.executable).with_name("orchestrate")), *map(str, arguments)]


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
