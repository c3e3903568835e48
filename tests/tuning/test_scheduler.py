from types import SimpleNamespace

import pytest
from plan_support import data_summary
from ray.tune.schedulers import TrialScheduler

from orchestrator.plan import SweepPlan
from orchestrator.sweep_file import Budget, Scheduler, Search
from orchestrator.tuning.resources import find_slots
from orchestrator.tuning.scheduler import FairAsha


def make_scheduler(*architectures: str, epochs: int = 8) -> FairAsha:
    return FairAsha(
        SweepPlan(
            sweep="x", task="stroke", classes=("a", "b"), preset="quick", weights="random", seed=0, metric="auroc",
            direction="max", architectures={name: {} for name in architectures}, published={},
            data=data_summary("real"),
            budget=Budget(epochs=epochs), search=Search(), scheduler=Scheduler(grace_epochs=1, reduction_factor=2),
        )
    )  # fmt: skip


def add(scheduler: FairAsha, number: int, architecture: str = "one"):
    trial = SimpleNamespace(trial_id=f"id{number}", config={"trial": number, "architecture": architecture})
    scheduler.on_trial_add(None, trial)
    return trial


def judge(scheduler: FairAsha, trial, epoch: int, auroc: float | None) -> str:
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "val/auroc": auroc})


def test_a_poor_trial_is_stopped_with_a_reason_in_words() -> None:
    scheduler = make_scheduler("one")
    for number, auroc in enumerate([0.9, 0.8, 0.7]):
        judge(scheduler, add(scheduler, number), 1, auroc)
    assert judge(scheduler, add(scheduler, 3), 1, 0.5) == TrialScheduler.STOP
    assert scheduler.stop_reasons["id3"] == ("ASHA at epoch 1: val/auroc 0.5000 is not in the best 1/2 of one")
    assert judge(scheduler, add(scheduler, 4), 1, 0.95) == TrialScheduler.CONTINUE


def test_the_defaults_are_never_stopped_but_count() -> None:
    scheduler = make_scheduler("one")
    good = [add(scheduler, number) for number in range(1, 4)]
    assert [judge(scheduler, trial, 1, 0.9) for trial in good] == [TrialScheduler.CONTINUE] * 3
    assert judge(scheduler, add(scheduler, 0), 1, 0.1) == TrialScheduler.CONTINUE
    assert "id0" not in scheduler.stop_reasons


def test_architectures_compete_with_their_own_kind_only() -> None:
    scheduler = make_scheduler("one", "two")
    for number in range(2, 6):
        judge(scheduler, add(scheduler, number, "one"), 1, 0.9)
    assert judge(scheduler, add(scheduler, 6, "two"), 1, 0.3) == TrialScheduler.CONTINUE
    assert judge(scheduler, add(scheduler, 7, "one"), 1, 0.3) == TrialScheduler.STOP


def test_asha_does_not_stop_a_trial_for_having_reached_its_last_epoch() -> None:
    scheduler = make_scheduler("one", epochs=3)
    leader, other = add(scheduler, 1), add(scheduler, 2)
    for epoch in (1, 2, 3):
        assert judge(scheduler, leader, epoch, 0.9) == TrialScheduler.CONTINUE
    assert judge(scheduler, other, 3, 0.95) == TrialScheduler.CONTINUE


@pytest.mark.parametrize(
    ("requested", "gpus", "count", "share"),
    [(None, 2, 2, 1.0), (4, 2, 4, 0.5), (3, 2, 3, 0.5), (8, 1, 8, 0.125), (1, 0, 1, 0.0)],
)
def test_slots_share_the_machine(requested, gpus: int, count: int, share: float) -> None:
    slots = find_slots(requested, gpus)
    assert (slots.count, slots.gpu_share) == (count, share)
    assert slots.device == ("cuda" if gpus else "cpu")
    assert slots.threads >= 1
