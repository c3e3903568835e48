"""Warm start: which configurations of earlier sweeps a new one tries first, in which order, and how they are marked."""

from pathlib import Path

import pytest
from sweep_support import epoch, make_plan, open_sweep

from orchestrator.journal import TrialEnded, TrialStarted, TrialSuggested
from orchestrator.plan import SweepPlan
from orchestrator.space import Space, defaults
from orchestrator.sweep_state import SweepState
from orchestrator.warm_start import MOST_POINTS, warm_mark, warm_points, warm_sentence
from trainables.catalog import default_hyperparameters

NAME = "resnet_vit"


def swept(folder: Path, plan: SweepPlan, trials: dict[float, dict]) -> SweepState:
    """Return a sweep whose trials scored so, each with these changes to the space's defaults."""
    with open_sweep(folder, plan) as sweep:
        for number, (score, changes) in enumerate(trials.items()):
            whole = default_hyperparameters(NAME) | defaults(plan.architectures[NAME]) | changes
            sweep.append(
                TrialSuggested(trial=number, architecture=NAME, hyperparameters=whole, seed=0, published=False)
            )
            sweep.append(TrialStarted(trial=number))
            sweep.append(epoch(number, 1, score))
            sweep.append(TrialEnded(trial=number, state="completed", reason="all epochs trained"))
        return sweep.state


@pytest.fixture
def plan() -> SweepPlan:
    return make_plan()


@pytest.fixture
def spaces(plan: SweepPlan) -> dict[str, Space]:
    return plan.architectures


def other_data(plan: SweepPlan) -> SweepPlan:
    return plan.model_copy(update={"data": plan.data.model_copy(update={"digest": "another"})})


def found(sweeps: list[SweepState], plan: SweepPlan, spaces: dict[str, Space]) -> list:
    return list(warm_points(sweeps, plan.task, plan.data.kind, plan.data.digest, plan.metric, spaces).get(NAME, ()))


def test_the_best_on_the_same_data_come_first(tmp_path: Path, plan: SweepPlan, spaces: dict[str, Space]) -> None:
    here = swept(tmp_path / "a", plan, {0.7: {"lr": 1e-4}, 0.8: {"lr": 2e-4}, 0.6: {}, 0.5: {"lr": 6e-4}})
    elsewhere = swept(tmp_path / "b", other_data(plan), {0.99: {"lr": 5e-4}, 0.98: {"lr": 4e-4}})
    points = found([elsewhere, here], plan, spaces)
    assert [(point.values["lr"], point.same_data, point.score) for point in points] == [
        (2e-4, True, 0.8), (1e-4, True, 0.7), (5e-4, False, 0.99)
    ]  # fmt: skip
    assert len(points) == MOST_POINTS, (
        "what was no better than the defaults is left out, and the fourth is one too many"
    )
    assert points[0].sweep_id == here.started.sweep_id and points[0].trial == 1
    renamed = [points[0], points[1], points[2].model_copy(update={"sweep_id": "t"})]
    words = "warm start: 3 configurations of 2 earlier sweeps are tried after the defaults, 2 of them on the same data"
    assert warm_sentence({NAME: renamed}) == words


def test_what_lies_in_no_search_space_of_now_is_left_out_and_what_is_fixed_is_as_it_says(
    tmp_path: Path, plan: SweepPlan, spaces: dict[str, Space]
) -> None:
    fixed = next(name for name, parameter in spaces[NAME].items() if parameter.kind == "fixed")
    odd = swept(tmp_path / "a", plan, {0.9: {"lr": 0.9}, 0.8: {"lr": 2e-4, fixed: "resnet50"}})
    (point,) = found([odd], plan, spaces)
    assert (point.trial, point.values[fixed]) == (1, spaces[NAME][fixed].default)


def test_other_tasks_kinds_metrics_and_stopped_trials_do_not_count(
    tmp_path: Path, plan: SweepPlan, spaces: dict[str, Space]
) -> None:
    kind = {"real": "phantom", "phantom": "real"}[plan.data.kind]
    other = plan.model_copy(update={"data": plan.data.model_copy(update={"kind": kind})})
    mcc = plan.model_copy(update={"metric": "mcc"})
    sweeps = [swept(tmp_path / name, own, {0.9: {"lr": 2e-4}}) for name, own in (("a", other), ("b", mcc))]
    with open_sweep(tmp_path / "c", plan) as sweep:
        whole = default_hyperparameters(NAME) | {"lr": 2e-4}
        sweep.append(TrialSuggested(trial=0, architecture=NAME, hyperparameters=whole, seed=0, published=False))
        sweep.append(TrialStarted(trial=0))
        sweep.append(epoch(0, 1, 0.9))
        sweep.append(TrialEnded(trial=0, state="pruned", reason="ASHA"))
        sweeps.append(sweep.state)
    assert found(sweeps, plan, spaces) == []
    assert warm_sentence({}) == "warm start: no earlier trial of this task lies in these search spaces"


def test_a_trial_that_tries_one_again_is_marked(tmp_path: Path, plan: SweepPlan, spaces: dict[str, Space]) -> None:
    before = swept(tmp_path / "a", plan, {0.8: {"lr": 2e-4}})
    points = warm_points([before], plan.task, plan.data.kind, plan.data.digest, plan.metric, spaces)
    warm = plan.model_copy(update={"warm_points": points})
    after = swept(tmp_path / "b", warm, {0.6: {}, 0.75: {"lr": 2e-4}})
    assert [warm_mark(warm, trial) for trial in after.trials.values()] == ["", f"{before.started.sweep_id} trial 0"]
    assert warm.digest != plan.digest
