"""A process that hangs is ended, whatever it does for a sweep: training, training again, judging."""

import faulthandler
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.tuning import finalists, retraining, trial
from orchestrator.tuning.hang_guard import FIRST_TIMEOUT_S, JUDGING_TIMEOUT_S, judging_limit_s
from orchestrator.tuning.trial_log import cause_of_death
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import DataError
from trainables.training.run import EpochRecord

HANGS = """
import time
from orchestrator.tuning.hang_guard import ended_if_hanging
with ended_if_hanging(60):
    pass
with ended_if_hanging(0.2):
    time.sleep(60)
"""


@pytest.fixture
def setup(tmp_path: Path) -> TrialSetup:
    return TrialSetup(
        task="stroke", development=tmp_path, development_digest="", arrays={}, pretrained=False, epochs=3,
        metric="auroc", device="cpu", threads=1, trials=tmp_path / "trials", forecast_epoch_s={"slow": 100.0},
    )  # fmt: skip


def config(tmp_path: Path, architecture: str = "baseline_cnn") -> TrialConfig:
    return TrialConfig(
        trial=0, architecture=architecture, hyperparameters={}, seed=0, published=False, setup=tmp_path, over="seed",
        index=1, best_epoch=2,
    )  # fmt: skip


class Guard:
    """What stands guard over this process just now, and every limit that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.limits: list[float] = []
        self.is_on = False
        monkeypatch.setattr(faulthandler, "dump_traceback_later", self.begin)
        monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", self.end)

    def begin(self, within_s: float, *, exit: bool, file: int) -> None:
        assert exit
        self.limits.append(within_s)
        self.is_on = True

    def end(self) -> None:
        self.is_on = False

    def epochs(self, *about: object) -> Iterator[EpochRecord]:
        for number in (1, 2, 3):
            assert self.is_on
            yield EpochRecord(number, {"val/auroc": 0.5, "perf/epoch_s": 20.0 * number}, is_best=number == 1)


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    return Guard(monkeypatch)


def test_one_that_takes_too_long_is_ended_and_its_log_says_why(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w") as log:
        done = subprocess.run([sys.executable, "-c", HANGS], stderr=log, timeout=50)
    assert done.returncode == 1
    assert cause_of_death(tmp_path / "log.txt").startswith("hanging: no epoch ended within 0.2 s")


def test_training_again_has_the_limit_of_a_trial(
    setup: TrialSetup, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "begin_or_begin_anew", guard.epochs)
    assert retraining.train_again(config(tmp_path), setup).epoch == 1
    usual = [200.0, 300.0, 400.0]
    assert guard.limits == [FIRST_TIMEOUT_S, *usual]
    assert not guard.is_on
    short = setup.model_copy(update={"epoch_timeout_s": 7.0})
    retraining.train_again(config(tmp_path), short)
    assert set(guard.limits[4:]) == {7.0}


def test_training_lost_weights_again_is_guarded(
    setup: TrialSetup, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "begin_training", guard.epochs)
    with pytest.raises(FileNotFoundError):  # this training writes no weights
        trial.train_weights_again(config(tmp_path), setup)
    assert guard.limits == [FIRST_TIMEOUT_S, 200.0], "to its best epoch"
    assert not guard.is_on


def test_judging_is_guarded_with_time_for_explanations(
    setup: TrialSetup, tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*about: object) -> None:
        assert guard.is_on
        raise DataError("its data were changed")

    monkeypatch.setattr(finalists, "judge_trial", judge)
    for architecture in ("usual", "slow"):
        with pytest.raises(DataError):
            finalists.evaluate_finalist(config(tmp_path, architecture), setup, None, tmp_path)
    assert guard.limits == [JUDGING_TIMEOUT_S] * 2
    assert judging_limit_s(setup.model_copy(update={"epoch_timeout_s": 5.0}), "slow") == JUDGING_TIMEOUT_S
    slowest = setup.model_copy(update={"forecast_epoch_s": {"slow": 1000.0}})
    assert judging_limit_s(slowest, "slow") == 10_000.0
    assert not guard.is_on
