"""Finalists trained with several seeds: who wins, what a journal of them adds up to, where the spread is shown."""

import json

import pytest
from sweep_support import epoch, make_plan, started, suggested

from orchestrator.journal import Event, FinalistEvaluated, SeedEvaluated, SweepResumed, TrialEnded, WinnerChosen
from orchestrator.plan import SweepPlan
from orchestrator.ranking import choose_finalists, choose_winner, leaderboard, to_markdown
from orchestrator.sweep_state import SweepState, replay


def searched(*aurocs: float, seeds: int = 3, **plan: object) -> list[Event]:
    """Return a search of one epoch per trial, each of which trained to its end."""
    events: list[Event] = [started(make_plan(budget__finalists=5).model_copy(update={"seeds": seeds, **plan}))]
    for number, auroc in enumerate(aurocs):
        events += [suggested(number), epoch(number, 1, auroc), TrialEnded(trial=number, state="completed", reason="")]
    return events


def seeds_of(number: int, *scores: float | None, log_loss: float = 0.5) -> list[Event]:
    """Return a finalist's seeds; None is one from which training broke down."""
    return [
        SeedEvaluated(
            trial=number, seed_index=place, seed=100 * number + place, epoch=1,
            validation={} if score is None else {"auroc": score, "log_loss": log_loss},
        )
        for place, score in enumerate(scores)
    ]  # fmt: skip


def winner(state: SweepState) -> int:
    return choose_winner(state, choose_finalists(state)).number


def test_a_lucky_seed_does_not_win() -> None:
    events = [*searched(0.95, 0.90), *seeds_of(0, 0.95, 0.70, 0.75), *seeds_of(1, 0.90, 0.88, 0.92)]
    assert winner(replay(events)) == 1, "0.90 on average beats 0.80, though 0.95 was the best single score"
    alone = replay(searched(0.95, 0.90, seeds=1))
    assert winner(alone) == 0, "with one seed the best score wins, as ever"


def test_of_a_metric_to_be_minimised_the_lowest_mean_wins() -> None:
    events = searched(0.9, 0.9, metric="log_loss", direction="min")
    events += [*seeds_of(0, 0.9, 0.9, log_loss=0.6), *seeds_of(1, 0.1, 0.1, log_loss=0.3)]
    assert winner(replay(events)) == 1


@pytest.mark.parametrize(
    ("log_losses", "wins"),
    [((0.5, 0.4), 1), ((0.4, 0.5), 0), ((0.5, 0.5), 0)],
    ids=["the lower mean log loss", "also where it is the first", "then the earlier trial"],
)
def test_equal_means_are_told_apart_by_log_loss_then_by_number(log_losses: tuple[float, float], wins: int) -> None:
    events = searched(0.7, 0.8)
    events += seeds_of(0, 0.7, 0.8, 0.9, log_loss=log_losses[0])
    events += seeds_of(1, 0.8, 0.9, 0.7, log_loss=log_losses[1])
    assert winner(replay(events)) == wins


def test_a_configuration_that_breaks_down_from_some_seed_comes_last() -> None:
    events = [*searched(0.95, 0.6), *seeds_of(0, 0.95, 0.97, None), *seeds_of(1, 0.6, 0.5, 0.55)]
    assert winner(replay(events)) == 1
    assert replay(events).seeds[0][2].validation == {}


def test_seeds_are_void_once_the_trial_has_a_better_epoch_or_trains_more() -> None:
    events = [*searched(0.7, 0.8), *seeds_of(0, 0.7, 0.6, 0.8), *seeds_of(1, 0.8, 0.6, 0.5)]
    state = replay(events)
    assert [seed.seed for seed in state.seeds[1].values()] == [100, 101, 102]
    state.apply(epoch(0, 2, 0.6))
    assert sorted(state.seeds) == [0, 1], "a worse epoch changes nothing"
    state.apply(epoch(0, 3, 0.75))
    assert sorted(state.seeds) == [1]
    plan = state.plan.model_copy(update={"budget": state.plan.budget.model_copy(update={"epochs": 99})})
    state.apply(
        SweepResumed(plan=plan, plan_digest="", slots=1, device="cpu", versions={}, git={}, extended=[1])
    )  # fmt: skip
    assert state.seeds == {}, "its seeds are to have as many epochs as it has"


def test_a_seed_of_a_trial_that_none_suggested_is_damage() -> None:
    with pytest.raises(ValueError, match="line 2: seed_evaluated of trial 7, which was not suggested"):
        replay([started(make_plan()), *seeds_of(7, 0.5)])


def test_the_spread_stands_in_a_column_of_its_own() -> None:
    events = [*searched(0.9, 0.8, 0.5), *seeds_of(0, 0.9, 0.5), *seeds_of(1, 0.8, 0.8)]
    events += [FinalistEvaluated(trial=1, validation={"auroc": 0.8}, test={"auroc": 0.6}), WinnerChosen(trial=1)]
    rows = leaderboard([replay(events)])
    assert [(row.trial_id, row.is_winner) for row in rows] == [(0, False), (1, True), (2, False)]
    assert rows[0].to_json()["seeds"]["auroc"] == (pytest.approx(0.7), pytest.approx(0.2828, abs=1e-4), 2)
    assert (rows[2].seeds, rows[0].folds) == (None, None)
    note = to_markdown(rows, "auroc")
    assert "| val auroc | val over seeds | test auroc |" in note
    assert "| 0.9000 | 0.7000 ± 0.2828 (2) | - |" in note
    assert "| 0.8000 | 0.8000 ± 0.0000 (2) | 0.6000 |" in note
    assert "| 0.5000 | - | - |" in note


def test_the_plan_carries_seeds_and_one_of_before_has_one(plan: SweepPlan) -> None:
    several = plan.model_copy(update={"seeds": 3})
    assert several.digest != plan.digest
    before = json.loads(plan.model_dump_json())
    del before["seeds"]
    assert SweepPlan.model_validate(before) == plan
