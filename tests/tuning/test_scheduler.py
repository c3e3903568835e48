from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from sweep_support import begin, epoch, make_plan, open_sweep

from orchestrator.errors import BadInput
from orchestrator.journal import SweepResumed, TrialEnded
from orchestrator.open_sweep import OpenSweep
from orchestrator.sweep_sections import Budget, Scheduler, Search
from orchestrator.tuning.resources import find_slots, fitting_share
from orchestrator.tuning.scheduler import FairScheduler

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE


class Judged:
    """A scheduler and the sweep whose trials it judges."""

    def __init__(self, sweep: OpenSweep) -> None:
        self.sweep = sweep
        self.scheduler = FairScheduler(sweep.state, sweep.past)

    def judge(self, number: int, at: int, auroc: float | None, architecture: str = "one") -> str:
        if number not in self.sweep.state.trials:
            begin(self.sweep, number, architecture)
        trial = SimpleNamespace(config={"trial": number})
        return self.scheduler.on_trial_result(None, trial, {"epoch": at, "val/auroc": auroc})

    def reason(self, number: int) -> str:
        return self.scheduler.stop_reasons[number]


def plan_of(*architectures: str, epochs: int = 8, rule: str = "asha", allocation: str = "equal", factor: int = 2):
    plan = make_plan(architectures={name: {} for name in architectures})
    return plan.model_copy(
        update={
            "budget": Budget(epochs=epochs),
            "search": Search(allocation=allocation),
            "scheduler": Scheduler(name=rule, grace_epochs=1, reduction_factor=factor),
        }
    )


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judged]:
    with open_sweep(tmp_path / "s", plan_of("one", "two")) as sweep:
        yield Judged(sweep)


def test_a_poor_trial_is_stopped_with_a_reason_in_words(judged: Judged) -> None:
    for number, auroc in enumerate([0.9, 0.8, 0.7], start=2):
        judged.judge(number, 1, auroc)
    assert judged.judge(5, 1, 0.5) == STOP
    assert judged.reason(5) == "ASHA at epoch 1: auroc 0.5000 below the rung's cut 0.8000 of 3 trials"
    assert judged.judge(6, 1, 0.95) == CONTINUE


def test_for_a_loss_the_cut_is_from_above(tmp_path: Path) -> None:
    plan = plan_of("one").model_copy(update={"metric": "log_loss", "direction": "min"})
    with open_sweep(tmp_path / "s", plan) as sweep:
        scheduler = FairScheduler(sweep.state)
        for number, loss in enumerate([0.2, 0.3, 0.4, 0.9]):
            begin(sweep, number, "one")
            trial = SimpleNamespace(config={"trial": number})
            decision = scheduler.on_trial_result(None, trial, {"epoch": 1, "val/log_loss": loss})
    assert decision == STOP
    assert scheduler.stop_reasons[3] == "ASHA at epoch 1: log_loss 0.9000 above the rung's cut 0.3000 of 3 trials"


def test_the_defaults_are_never_stopped_but_count(judged: Judged) -> None:
    assert [judged.judge(number, 1, 0.9) for number in (2, 3, 4)] == [CONTINUE] * 3
    assert judged.judge(0, 1, 0.1) == CONTINUE
    assert judged.judge(5, 1, 0.5) == STOP
    assert "of 4 trials" in judged.reason(5)


def test_architectures_compete_with_their_own_kind_only(judged: Judged) -> None:
    for number in range(2, 6):
        judged.judge(number, 1, 0.9, "one")
    assert judged.judge(6, 1, 0.3, "two") == CONTINUE
    assert judged.judge(7, 1, 0.3, "one") == STOP


def test_with_adaptive_allocation_all_compete(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", "two", allocation="adaptive")) as sweep:
        judged = Judged(sweep)
        for number in range(2, 6):
            judged.judge(number, 1, 0.9, "one")
        assert judged.judge(6, 1, 0.3, "two") == STOP


def test_no_trial_is_stopped_for_having_reached_its_last_epoch(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", epochs=3)) as sweep:
        judged = Judged(sweep)
        assert [judged.judge(1, at, 0.9) for at in (1, 2, 3)] == [CONTINUE] * 3
        assert judged.judge(2, 3, 0.2) == CONTINUE


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_value_that_is_missing_stops_nothing(judged: Judged, value: float | None) -> None:
    for number in (2, 3, 4):
        judged.judge(number, 1, 0.9)
    assert judged.judge(5, 1, value) == CONTINUE


def test_a_value_that_was_missing_in_a_rungs_epoch_is_told_beside_those_of_the_rung(judged: Judged) -> None:
    for number, auroc in enumerate([0.9, 0.8, 0.7], start=2):
        judged.judge(number, 1, auroc)
    judged.judge(5, 1, None)
    for number in (2, 3, 4):
        judged.judge(number, 2, 0.6)
    assert judged.judge(5, 2, 0.6) == CONTINUE, "the rung of epoch 2, where it is no worse"
    assert judged.judge(5, 3, 0.65) == STOP
    assert judged.reason(5) == "ASHA at epoch 3: auroc 0.6500 below the rung's cut 0.8000 of 3 trials"


def test_a_value_that_was_missing_in_the_only_rung_so_far_is_told_so_too(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", factor=3)) as sweep:
        judged = Judged(sweep)
        for number, auroc in enumerate([0.9, 0.8, 0.7], start=2):
            judged.judge(number, 1, auroc)
        judged.judge(5, 1, None)
        assert judged.judge(5, 2, 0.65) == STOP
        assert judged.reason(5) == "ASHA at epoch 2: auroc 0.6500 below the rung's cut 0.8333 of 3 trials"


def test_what_a_journal_holds_refills_the_rungs(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one")) as sweep:
        live = Judged(sweep)
        for number, auroc in enumerate([0.9, 0.8, 0.7, 0.75], start=1):
            live.judge(number, 1, auroc)
            sweep.append(epoch(number, 1, auroc))
        assert live.judge(9, 1, 0.5) == STOP
    with open_sweep(tmp_path / "s") as sweep:
        again = Judged(sweep)
        assert again.scheduler.stop_reasons == {n: r for n, r in live.scheduler.stop_reasons.items() if n != 9} != {}
        assert again.judge(1, 1, 0.1) == CONTINUE, "a redone epoch is judged once"
        assert again.judge(9, 1, 0.5) == STOP
        assert again.reason(9) == live.reason(9)


def test_hyperband_gives_every_other_trial_a_longer_grace(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", epochs=3, rule="hyperband")) as sweep:
        judged = Judged(sweep)
        for number in range(2, 8):
            judged.judge(number, 1, 0.9)
        assert judged.judge(8, 1, 0.1) == STOP
        assert judged.reason(8).startswith("Hyperband, bracket 1 of 2, at epoch 1: auroc 0.1000 below the rung's cut")
        assert judged.judge(9, 1, 0.1) == CONTINUE, "its bracket judges from epoch 2 on"


def test_the_median_rule_tells_its_median(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", rule="median")) as sweep:
        judged = Judged(sweep)
        for number, auroc in enumerate([0.6, 0.7, 0.8, 0.9], start=1):
            for at in (1, 2):
                assert judged.judge(number, at, auroc) == CONTINUE
        judged.judge(5, 1, 0.76)
        assert judged.judge(5, 2, 0.70) == CONTINUE, "its best is above the median"
        assert judged.judge(6, 1, 0.5) == STOP
        assert judged.reason(6) == (
            "median rule at epoch 1: best auroc 0.5000 below the median 0.7600 of 5 trials' running means"
        )


def test_a_poor_default_trains_on_under_the_median_rule_too(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", rule="median")) as sweep:
        judged = Judged(sweep)
        for number in (1, 2, 3, 4):
            for at in (1, 2, 3):
                judged.judge(number, at, 0.9)
        assert [judged.judge(0, at, 0.1) for at in (1, 2, 3)] == [CONTINUE] * 3


def test_hyperbands_brackets_are_filled_in_turn_for_each_architecture(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", "two", epochs=3, rule="hyperband")) as sweep:
        judged = Judged(sweep)
        for number in range(2, 12):
            judged.judge(number, 1, 0.9, ("one", "two")[number % 2])
        decisions = [judged.judge(number, 1, 0.1, "one") for number in (12, 14)]
        assert sorted(decisions) == [CONTINUE, STOP], "one of them is in the bracket of longer grace"


def test_a_trial_that_trains_further_is_not_stopped(tmp_path: Path) -> None:
    plan = plan_of("one", epochs=3)
    with open_sweep(tmp_path / "s", plan) as sweep:
        judged = Judged(sweep)
        for number in range(1, 5):
            for at in (1, 2, 3):
                judged.judge(number, at, 0.9 - number / 100)
                sweep.append(epoch(number, at, 0.9 - number / 100))
            sweep.append(TrialEnded(trial=number, state="completed", reason=""))
        more = plan.model_copy(update={"budget": plan.budget.model_copy(update={"epochs": 8})})
        resumed = SweepResumed(
            plan=more, plan_digest="", slots=1, device="cpu", versions={}, git={}, extended=[1, 2]
        )  # fmt: skip
        sweep.append(resumed)
        assert [sweep.state.trials[n].state for n in (1, 2, 3)] == ["waiting", "waiting", "completed"]
        again = Judged(sweep)
        assert [again.judge(2, at, 0.2) for at in (4, 5, 6)] == [CONTINUE] * 3


def test_without_a_rule_nothing_is_stopped(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", plan_of("one", rule="none")) as sweep:
        judged = Judged(sweep)
        assert {judged.judge(number, 1, 0.9 - number / 10) for number in range(9)} == {CONTINUE}


@pytest.mark.parametrize(
    ("requested", "gpus", "gpu_share", "count", "share"),
    [
        (None, 2, None, 2, 1.0), (4, 2, None, 4, 0.5), (3, 2, None, 3, 0.5), (8, 1, None, 8, 0.125),
        (3, 1, None, 3, 0.25), (6, 1, None, 6, 0.125), (9, 2, None, 9, 0.125),
        (1, 0, None, 1, 0.0), (2, 1, 0.5, 2, 0.5),
    ],
)  # fmt: skip
def test_slots_share_the_machine(requested, gpus: int, gpu_share, count: int, share: float) -> None:
    slots = find_slots(requested, gpus, gpu_share)
    assert (slots.count, slots.gpu_share) == (count, share)
    assert slots.device == ("cuda" if gpus else "cpu")
    assert slots.threads >= 1


def test_more_trials_than_gpus_hold_are_refused() -> None:
    with pytest.raises(BadInput, match="--slots 9: 9 trials on one GPU; 1 GPUs hold 8 at most"):
        find_slots(9, 1)


@pytest.mark.parametrize(("peak_mib", "share"), [(1000, 0.125), (12_000, 0.25), (30_000, 0.5), (60_000, 1.0), (1e6, 1)])
def test_a_trial_gets_the_smallest_share_of_a_gpu_that_holds_it(peak_mib: float, share: float) -> None:
    assert fitting_share(peak_mib, [100_000, 80_000]) == share


def test_a_process_that_is_free_goes_to_the_newest_trial(judged: Judged) -> None:
    """An older one that waits has a process that starts; Tune ends it where that trial gets the free one."""
    trials = [
        SimpleNamespace(status=status, config={"trial": number})
        for number, status in enumerate([Trial.RUNNING, Trial.PENDING, Trial.PENDING, Trial.TERMINATED])
    ]
    controller = SimpleNamespace(get_live_trials=lambda: trials)
    assert judged.scheduler.choose_trial_to_run(controller) is trials[2]
    assert judged.scheduler.choose_trial_to_run(SimpleNamespace(get_live_trials=lambda: trials[:1])) is None
