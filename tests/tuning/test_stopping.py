"""The end of all trials at once, by a clock that the test sets: who waits for what, and how Tune is left."""

from pathlib import Path

import pytest
from sweep_support import open_sweep

from orchestrator.errors import DiskFull, Interrupted
from orchestrator.tuning import runner, stopping
from orchestrator.tuning.stopping import EPOCH_GRACE_S, Stopping
from orchestrator.tuning.trial_files import TrialFiles


class Clock:
    """Stands for `time` in the module: the test says how late it is."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopping, "time", clock)
    return clock


def ends(asked: Stopping) -> bool:
    try:
        return asked.stop_all()
    except KeyboardInterrupt:
        return True


def test_running_epochs_have_their_grace_and_no_more(clock: Clock) -> None:
    asked = Stopping()
    asked.running.add("t")
    assert not ends(asked)
    asked.request("user")
    clock.now_s += EPOCH_GRACE_S
    assert not ends(asked), "its epoch may yet end"
    assert asked("t", {}), "and the trial with it"
    clock.now_s += 0.1
    assert ends(asked)


def test_nothing_is_waited_for_where_nothing_runs_or_ray_is_gone(clock: Clock) -> None:
    idle, lost = Stopping(), Stopping()
    lost.running.add("t")
    idle.request("user")
    lost.request("ray", "its raylet ended")
    assert ends(idle) and ends(lost)


def test_what_runs_has_its_part_of_the_time_that_is_left(clock: Clock) -> None:
    asked, whole = Stopping(time_budget_s=100, spent_s=20), "the time budget of 100 s is spent"
    asked.allot(0.25)
    clock.now_s += 19
    assert not asked.out_of_time
    clock.now_s += 2
    assert asked.out_of_time and asked("t", {})
    assert asked.out_of_time_reason == f"its part of {whole}"
    asked.allot(1.0)
    assert not asked.out_of_time, "the next has all that is left"
    clock.now_s += 59
    assert asked.out_of_time and asked.out_of_time_reason == whole
    asked.allot(0.5)
    assert asked.out_of_time, "no part of nothing"
    unlimited = Stopping()
    unlimited.allot(0.0)
    assert not unlimited.out_of_time


@pytest.mark.parametrize(("cause", "raised"), [("user", Interrupted), ("disk", DiskFull)])
def test_tune_is_left_without_its_own_clean_up(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, cause: str, raised: type
) -> None:
    cleaned_up: list[str] = []

    class Tuner:
        """As Tune's loop: a fault, too, makes it wait for its actors."""

        def __init__(self, *about: object, run_config, **further: object) -> None:
            self.stop = run_config.stop

        def fit(self) -> None:
            self.stop.running.add("t")
            self.stop.request(cause)
            try:
                while not self.stop.stop_all():
                    clock.now_s += 1.0
            except Exception:
                cleaned_up.append("after a fault")
                raise
            cleaned_up.append("after the loop")

    monkeypatch.setattr(runner.tune, "Tuner", Tuner)
    with open_sweep(tmp_path / "s") as sweep, pytest.raises(raised):
        files = TrialFiles(sweep.folder / "trials", sweep.state)
        runner.run_trials(sweep, tmp_path / "setup.json", runner.Slots(1, 1, 0.0, 0), Stopping(), files)
    assert cleaned_up == []
