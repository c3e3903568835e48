"""`orchestrate stop` is heard while a sweep waits for MLflow."""

import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import open_sweep

from orchestrator.errors import Interrupted
from orchestrator.home import Home
from orchestrator.sweep import _await_registration, told_if_broken_off
from orchestrator.sweep_lock import STOP_REQUEST
from orchestrator.sweep_request import SweepRequest
from orchestrator.tracking.process import SyncProcess


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sync that never comes to an end."""
    monkeypatch.setattr(SyncProcess, "_start", lambda self: subprocess.Popen(["sleep", "60"]))
    (tmp_path / "s").mkdir()
    process = SyncProcess(tmp_path / "s", Home(tmp_path), None)
    yield process
    process._process.kill()
    process._process.wait()


def test_neither_wait_goes_on_after_a_request_to_stop(process: SyncProcess, tmp_path: Path) -> None:
    ask = threading.Timer(0.3, (tmp_path / "s" / STOP_REQUEST).touch)
    began_s = time.monotonic()
    ask.start()
    process.wait_until(lambda outcome: False)
    assert 0.3 <= time.monotonic() - began_s < 20
    process.close()
    assert time.monotonic() - began_s < 30


def test_after_an_interruption_sync_has_its_time_all_the_same(process: SyncProcess, tmp_path: Path) -> None:
    (tmp_path / "s" / STOP_REQUEST).touch()  # as Ctrl-C leaves it
    began_s = time.monotonic()
    process.close(within_s=1.0)
    assert time.monotonic() - began_s >= 1.0


def test_a_sweep_that_was_not_registered_when_it_was_asked_to_end_can_be_resumed(tmp_path: Path) -> None:
    request = SweepRequest(name="stroke_hybrid", home=Home(tmp_path))
    with open_sweep(tmp_path / "s") as sweep:
        asked = SimpleNamespace(wait_until=lambda done: sweep.stop_request.touch())
        with pytest.raises(Interrupted, match="interrupted by the user"), told_if_broken_off(sweep):
            _await_registration(asked, sweep, request)
        assert [event.kind for event in sweep.past[1:]] == ["sweep_tracked", "sweep_ended"]
        assert sweep.state.ended.state == "interrupted"
        sweep.stop_request.unlink()
        _await_registration(SimpleNamespace(wait_until=lambda done: None), sweep, request)
