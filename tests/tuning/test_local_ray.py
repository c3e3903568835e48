"""Ray of one's own that is late on a busy machine: started once more, then told in one line; nothing stays behind."""

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.errors import Interrupted
from orchestrator.tuning.local_ray import core_processes, local_ray
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.stopping import Stopping

LATE = "The current node timed out during startup. This could happen because\nmore words"


class LateRay:
    """Stands for `ray.init`: leaves a process named as Ray's and raises, until it has been asked often enough."""

    def __init__(self, failures: int, folder: Path) -> None:
        self.failures, self.left = failures, []
        self._raylet = folder / "raylet"
        shutil.copy("/bin/sleep", self._raylet)

    def __call__(self, **settings: object) -> None:
        if self.failures:
            self.failures -= 1
            self.left.append(subprocess.Popen([self._raylet, "60"]))
            while self.left[-1].pid not in core_processes():
                pass
            raise Exception(LATE)


def start(failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LateRay:
    late = LateRay(failures, tmp_path)
    monkeypatch.setattr("ray.init", late)
    try:
        with local_ray(Slots(1, 1, 0.0, 0), Stopping(None, 0.0), tmp_path / "stop", lambda reason: None):
            pass
    finally:
        codes = [process.wait(timeout=10) for process in late.left]
    assert codes == [-9] * len(codes)
    return late


@pytest.mark.parametrize("failures", [1, 2])
def test_a_late_ray_is_started_again(failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = start(failures, tmp_path, monkeypatch)
    assert (late.failures, len(late.left)) == (0, failures)


def test_a_ray_that_does_not_start_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Interrupted) as told:
        start(5, tmp_path, monkeypatch)
    assert str(told.value) == (
        "Ray did not start in 3 tries (The current node timed out during startup. This could happen because); "
        "is this machine busy?"
    )
