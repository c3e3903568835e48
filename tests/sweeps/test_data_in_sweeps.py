"""Data that change after the plan: whole commands, and what they refuse."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sweep_support import begin, epoch
from tests_support import TINY, run_here, with_store

from orchestrator.journal import TrialEnded
from orchestrator.open_sweep import OpenSweep
from orchestrator.tuning.test_data import TestData
from trainables.data.cache import digest_file
from trainables.data.split_rows import SplitRow, digest_rows, write_rows
from trainables.errors import DataError
from trainables.explain.settings import explanation_settings

pytestmark = pytest.mark.sweep
SMALL = ["sweep", "stroke_hybrid", *TINY, "--trials", "2", "--epochs", "2", "--finalists", "1", "--slots", "1"]


def replace_a_test_image(data: Path, sweep: Path) -> str:
    victim = sorted((data / "deep/test/normalMR").iterdir())[0]
    victim.write_bytes(sorted((data / "deep/test/strokeMR").iterdir())[0].read_bytes())
    return victim.name


def move_a_case_to_validation(data: Path, sweep: Path) -> str:
    split = sweep / "development.csv"
    split.write_text(split.read_text().replace(",training,", ",validation,", 1))
    return "development.csv: the split was changed since the plan"


@pytest.mark.parametrize(
    "tamper",
    [replace_a_test_image, pytest.param(move_a_case_to_validation, marks=pytest.mark.faults)],
)
def test_what_changes_after_the_plan_is_refused(
    leaking_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path, Path], str]
) -> None:
    """The whole command but for its trials, which see neither test images nor the data's folder."""
    data, home = tmp_path / "set", with_store(tmp_path / "home")
    shutil.copytree(leaking_set, data)
    words: list[str] = []

    def run_trials(sweep: OpenSweep, *about: object) -> None:
        begin(sweep, 0)
        words.append(tamper(data, sweep.folder))
        sweep.append(epoch(0, 1, 0.75))
        sweep.append(TrialEnded(trial=0, state="completed", reason="all 1 epochs trained"))

    monkeypatch.setattr("orchestrator.tuning.local_ray.local_ray", lambda *about: nullcontext())
    monkeypatch.setattr("orchestrator.tuning.runner.run_trials", run_trials)
    done = run_here(home, *SMALL, "--data", data)
    assert done.exit_code == 2, done.stderr
    assert "changed since the plan" in done.stderr
    assert words[0] in done.stderr
    assert "no finalist was evaluated" in done.stderr
    assert "Traceback" not in done.stderr
    assert '"evaluation"' not in (home / "test_reads.jsonl").read_text()


def test_decoded_test_images_and_test_tables_that_changed_are_not_opened(tmp_path: Path) -> None:
    rows = [SplitRow("a.png", 0, "MR", "a.png", "test", "aa")]
    write_rows(tmp_path / "test.csv", rows)
    array = tmp_path / "images.npy"
    np.save(array, np.zeros((1, 8, 8), dtype=np.uint8))
    test = TestData(
        rows=tmp_path / "test.csv", rows_digest=digest_rows(rows), test_digest="t", arrays={"8": array},
        array_digests={"8": digest_file(array)}, ledger=tmp_path / "ledger.jsonl", who="s",
        root=tmp_path, explaining=explanation_settings(quick=True, seed=0),
    )  # fmt: skip
    assert test.open("trial 0", "8", "to see")[0] == rows
    np.save(array, np.ones((1, 8, 8), dtype=np.uint8))
    with pytest.raises(DataError, match="decoded test images were changed since the plan"):
        test.open("trial 1", "8", "to see")
    np.save(array, np.zeros((1, 8, 8), dtype=np.uint8))
    write_rows(tmp_path / "test.csv", [replace(rows[0], label=1)])
    with pytest.raises(DataError, match=r"test\.csv: the split was changed since the plan"):
        test.open("trial 2", "8", "to see")
    assert (tmp_path / "ledger.jsonl").read_text().count("\n") == 1
