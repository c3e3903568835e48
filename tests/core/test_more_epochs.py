"""Which trials go on when a finished sweep is given more epochs, and for how many each was planned."""

from pathlib import Path

import pytest
from sweep_support import begin, epoch, make_plan, open_sweep, suggested

from orchestrator.journal import SweepResumed, TrialEnded
from orchestrator.more_epochs import epochs_planned, trials_with_more_epochs, why_it_stays
from orchestrator.open_sweep import OpenSweep

FORMERLY = 2


def resumed(epochs: int) -> SweepResumed:
    plan = make_plan(budget__epochs=epochs)
    return SweepResumed(plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={})


def trained(sweep: OpenSweep, number: int, state: str, schedule: str = "none", stop_reason: str = "") -> None:
    sweep.append(suggested(number, lr_schedule=schedule))
    for at in range(1, FORMERLY + 1 if state == "completed" else 2):
        sweep.append(epoch(number, at, 0.5 + number / 10, stop_reason=stop_reason if at == FORMERLY else ""))
    sweep.append(TrialEnded(trial=number, state=state, reason=""))


@pytest.mark.parametrize(
    ("state", "schedule", "stop_reason", "epochs", "words"),
    [
        ("completed", "none", "", 4, ""),
        ("completed", "plateau", "", 4, ""),
        ("completed", "none", "", FORMERLY, "it has trained all epochs"),
        ("completed", "cosine", "", 4, "its rates (cosine) ended with epoch 2"),
        ("completed", "onecycle", "", 4, "its rates (onecycle) ended with epoch 2"),
        ("completed", "none", "no better for 5 epochs", 4, "no better for 5 epochs"),
        ("pruned", "none", "", 4, "it was stopped early"),
        ("failed", "none", "", 4, "it is failed"),
    ],
)
def test_why_a_trial_goes_on_or_stays(tmp_path: Path, state, schedule, stop_reason, epochs: int, words: str) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__epochs=FORMERLY)) as sweep:
        trained(sweep, 0, state, schedule, stop_reason)
        assert why_it_stays(sweep.state.trials[0], epochs) == words
        assert trials_with_more_epochs(sweep.state, epochs) == ([] if words else [0])


def test_a_trial_is_replayed_for_as_many_epochs_as_it_was_planned_for(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__epochs=FORMERLY)) as sweep:
        begin(sweep, 0)
        sweep.append(resumed(4))
        begin(sweep, 1)
        sweep.append(resumed(9))
    assert [epochs_planned(sweep.past, number) for number in (0, 1)] == [FORMERLY, 4]
