"""A case of tests/faults/run.py whose fault meets nothing to break says so: green would mean nothing."""

import importlib.util
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

RUN = Path(__file__).parent / "faults" / "run.py"


@pytest.fixture(scope="module")
def harness():
    spec = importlib.util.spec_from_file_location("fault_harness", RUN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


def never_waiting(folder: Path) -> dict:
    process = SimpleNamespace(wait=lambda: 0)
    return {"process": process, "folder": folder, "wait_for": lambda happened, within_s: happened()}


@pytest.mark.parametrize("fault", ["actor", "raylet", "gcs", "sync", "checkpoint"])
def test_a_fault_that_meets_nothing_is_told(harness, tmp_path: Path, monkeypatch, fault: str) -> None:
    monkeypatch.setattr(harness, "everything", lambda running, rng: None)
    running = SimpleNamespace(pids=lambda title: [], **never_waiting(tmp_path))
    with pytest.raises(harness.NothingToBreakError):
        harness.FAULTS[fault](running, random.Random(0))


def test_damaged_checkpoints_are_the_newest(harness, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(harness, "everything", lambda running, rng: None)
    trial = tmp_path / "trials" / "0000"
    trial.mkdir(parents=True)
    for number in (1, 2):
        (trial / f"state_epoch_{number:04d}.pt").write_bytes(b"x" * 5000)
    running = SimpleNamespace(**never_waiting(tmp_path))
    harness.FAULTS["checkpoint"](running, random.Random(0))
    sizes = [path.stat().st_size for path in sorted(trial.iterdir())]
    assert sizes[0] == 5000
    assert sizes[1] <= 2000


def test_without_power_only_what_was_synced_is_left(harness, tmp_path: Path, monkeypatch) -> None:
    for name in ("everything", "forget_what_was_sent"):
        monkeypatch.setattr(harness, name, lambda *about: None)
    folder = tmp_path / "sweeps" / "case"
    trial = folder / "trials" / "0000"
    trial.mkdir(parents=True)
    for name in ("synced.pt", "lost.pt", "witness.jsonl"):
        (trial / name).write_bytes(b"content")
    (folder / "journal.jsonl").write_bytes(b"1234567890")
    (tmp_path / "case.synced").write_text("4")
    (tmp_path / "case.synced.files").write_text(f"{(trial / 'synced.pt').stat().st_ino}\n")
    harness.FAULTS["power"](SimpleNamespace(process=SimpleNamespace(wait=lambda: 0), folder=folder), random.Random(0))
    assert (folder / "journal.jsonl").read_bytes() == b"1234"
    sizes = {path.name: path.stat().st_size for path in trial.iterdir()}
    assert sizes == {"synced.pt": 7, "lost.pt": 0, "witness.jsonl": 7}
