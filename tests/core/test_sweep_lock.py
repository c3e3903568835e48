import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from orchestrator import sweep_lock
from orchestrator.errors import BadInput
from orchestrator.sweep_lock import living_owner, owned

OWNING = """
import sys, time, pathlib
from orchestrator.sweep_lock import owned
with owned(pathlib.Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that owns the sweep."""
    process = subprocess.Popen([sys.executable, "-c", OWNING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.wait()


def test_a_sweep_that_somebody_runs_is_refused_with_who(tmp_path: Path, other) -> None:
    owner = living_owner(tmp_path)
    assert owner is not None and owner.pid == other.pid
    with pytest.raises(BadInput, match=rf"is run by process {other.pid} on .*orchestrate stop"), owned(tmp_path):
        pass


def test_a_dead_owners_lock_is_taken_over(tmp_path: Path, other) -> None:
    other.kill()
    other.wait()
    assert (tmp_path / "owner.json").is_file(), "it could not clean up"
    assert living_owner(tmp_path) is None
    with owned(tmp_path):
        owner = living_owner(tmp_path)
        assert owner is not None and owner.pid == os.getpid()
    assert living_owner(tmp_path) is None


def test_who_looks_at_a_sweep_just_now_keeps_nobody_from_resuming_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)  # as `orchestrate status` does for a moment
        gone = threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        gone.start()
        with owned(tmp_path):
            owner = living_owner(tmp_path)
            assert owner is not None and owner.pid == os.getpid()
        gone.join()


def test_one_on_another_machine_counts_while_its_heart_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beat(age_s: float) -> None:
        about = {"pid": 1, "host": "elsewhere", "beat": time.time() - age_s}
        (tmp_path / "owner.json").write_text(json.dumps(about))

    beat(10)
    assert living_owner(tmp_path) is not None
    monkeypatch.setattr(sweep_lock.time, "sleep", lambda wait_s: beat(9))
    with pytest.raises(BadInput, match="is run by process 1 on elsewhere"), owned(tmp_path):
        pass
    monkeypatch.undo()
    monkeypatch.setattr(sweep_lock, "LOOK_S", 0.01)
    beat(sweep_lock.STALE_S - 0.05)  # a head that died a minute ago: the next one waits until that is sure
    with owned(tmp_path):
        pass
    beat(100)
    assert living_owner(tmp_path) is None
    with owned(tmp_path):
        pass


def test_a_request_to_stop_from_before_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "stop_requested").touch()
    with owned(tmp_path):
        assert not (tmp_path / "stop_requested").exists()
