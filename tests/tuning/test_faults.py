"""What tasks on finalists raise, as Ray hands it over: a full disk is one, and anything else is one line."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.exceptions import RayError, RayTaskError, UnserializableException, WorkerCrashedError
from safetensors import SafetensorError
from sweep_support import begin, open_sweep

from orchestrator.errors import BadInput, DiskFull, Interrupted, OrchestratorError
from orchestrator.journal import SeedEvaluated
from orchestrator.open_sweep import OpenSweep
from orchestrator.sweep import told_if_broken_off
from orchestrator.tuning import runner
from orchestrator.tuning.stopping import Stopping
from trainables.errors import DataError, WeightsError

TRACEBACK = '\x1b[36mray::evaluate_finalist()\x1b[39m (pid=7, ip=192.0.2.2)\n  File "/home/me/x/y.py", line 1, in f\n'


def raised(cause: Exception) -> RayError:
    """Return what ray.get raises for what a task raised."""
    words = f"{TRACEBACK}{type(cause).__name__}: {cause}"
    return RayTaskError("f", words, cause, proctitle="f", pid=7, ip="192.0.2.2").as_instanceof_cause()


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[OpenSweep]:
    with open_sweep(tmp_path / "s") as sweep:
        begin(sweep, 0)
        yield sweep


@pytest.fixture
def told(sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch):
    """Let a task raise something; return what the user hears, once the journal has its last line."""

    def hear(error: RayError) -> OrchestratorError:
        def get(reference: object) -> None:
            raise error

        monkeypatch.setattr(runner, "LOSS_SHOWS_AFTER_S", 0)
        monkeypatch.setattr(runner.ray, "wait", lambda waiting, timeout: (waiting, []))
        monkeypatch.setattr(runner.ray, "get", get)
        with pytest.raises(OrchestratorError) as heard, told_if_broken_off(sweep):
            runner._record({"a task": runner._Task(sweep.folder / "log.txt")}, sweep, Stopping())
        assert sweep.state.ended is not None
        assert sweep.state.ended.reason == str(heard.value)
        assert "\n" not in str(heard.value)
        assert "\x1b" not in str(heard.value)
        return heard.value

    return hear


@pytest.mark.parametrize(
    "cause",
    [
        OSError(28, "No space left on device", "/home/me/x/metrics.json"),
        OSError(122, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534"),
    ],
)
def test_a_full_disk_after_the_trials_is_an_interruption(told, sweep: OpenSweep, cause: Exception) -> None:
    assert getattr(raised(cause), "errno", None) is None, "Ray's error tells no number"
    error = told(raised(cause))
    assert isinstance(error, DiskFull)
    assert str(error).endswith("free some space and resume")
    assert error.exit_code == 1
    assert sweep.state.ended.state == "interrupted"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (raised(KeyError("no layer in /home/me/x/y.py")), "KeyError: 'no layer in y.py'"),
        (raised(RuntimeError("CUDA error: an illegal access\nCompile with X")), "RuntimeError: CUDA error: an illegal"),
        (raised(AssertionError()), "AssertionError; "),
        (raised(WeightsError("best.safetensors: is damaged")), "evaluated: best.safetensors: is damaged"),
        (raised(OSError(5, "Input/output error")), r"OSError: \[Errno 5\] Input/output error"),
        (raised(RayError(f"Exception a.B isn't serializable.\n{TRACEBACK}a.B: odd /home/me/x")), "a.B: odd x"),
        (UnserializableException("\n".join([TRACEBACK, "f.<locals>.Two: 1 2", ""])), "f.<locals>.Two: 1 2"),
    ],
)
def test_anything_else_is_one_line_that_names_the_way_out(told, sweep: OpenSweep, error: RayError, words: str) -> None:
    heard = told(error)
    assert (heard.exit_code, sweep.state.ended.state) == (1, "failed")
    assert re.search(words, str(heard))
    assert "/home/me" not in str(heard)
    assert str(heard).startswith("a finalist cannot be evaluated: ")
    assert str(heard).endswith("; orchestrate resume s tries again")


def test_changed_data_are_bad_input(told, sweep: OpenSweep) -> None:
    assert isinstance(told(raised(DataError("rows.csv: was changed"))), BadInput)


def test_a_process_that_died_can_be_resumed_and_one_that_found_no_room_needs_some(
    told, sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(told(WorkerCrashedError()), Interrupted)
    monkeypatch.setattr(runner, "is_disk_full", lambda error, folder: True)
    monkeypatch.setattr("orchestrator.tuning.faults.is_disk_full", lambda error, folder: True)
    sweep.state.ended = None
    assert isinstance(told(WorkerCrashedError()), DiskFull)


def test_a_retraining_whose_process_dies_each_time_counts_as_broken_down(
    sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(reference: object) -> None:
        raise WorkerCrashedError

    log, said = sweep.folder / "seed-2" / "log.txt", []
    log.parent.mkdir()
    log.write_text("Timeout (0:10:00)!\nThread 0x1 (most recent call first):\n")
    (log.parent / "state_epoch_0001.pt").write_bytes(b"of no use any more")
    monkeypatch.setattr(runner, "LOSS_SHOWS_AFTER_S", 0)
    monkeypatch.setattr(runner.ray, "wait", lambda waiting, timeout: (waiting, []))
    monkeypatch.setattr(runner.ray, "get", died)
    monkeypatch.setattr(sweep, "tell", said.append)
    broken = SeedEvaluated(trial=0, seed_index=1, seed=7, epoch=0, validation={})
    runner._record({"a task": runner._Task(log, 0, broken)}, sweep, Stopping())
    assert sweep.state.seeds == {0: {1: broken}}
    hanging = "hanging: no epoch ended within 600 s, so its process was ended"
    assert said == [f"trial 0, seed 1: {hanging}; it counts as one that broke down"]
    assert [path.name for path in log.parent.iterdir()] == ["log.txt"]
    lost = Stopping()
    lost.request("ray", "its raylet ended")
    with pytest.raises(Interrupted, match="Ray was lost: its raylet ended"):
        runner._record({"a task": runner._Task(log, 0, broken)}, sweep, lost)


def test_what_a_log_told_before_a_task_is_no_reason_of_its_end(sweep: OpenSweep) -> None:
    log = sweep.folder / "log.txt"
    log.write_text("Fatal Python error: Segmentation fault\n")
    task = runner._Task(log, log.stat().st_size)
    with pytest.raises(Interrupted, match="ended: The worker died unexpectedly"):
        runner._without_process(task, WorkerCrashedError(), sweep)
    with pytest.raises(Interrupted, match="ended: its process crashed: Segmentation fault"):
        runner._without_process(runner._Task(log), WorkerCrashedError(), sweep)


def test_a_full_disk_of_the_driver_itself_is_no_failure(sweep: OpenSweep) -> None:
    with pytest.raises(OSError, match="space"), told_if_broken_off(sweep):
        raise OSError(28, "No space left on device", "development.csv")
    assert (sweep.state.ended.state, sweep.state.ended.reason) == ("interrupted", "the disk is full")
