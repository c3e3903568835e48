"""Which parameters mattered, as Optuna tells it from a journal."""

from report_support import search_events, search_plan
from sweep_support import started

from orchestrator.journal import EpochEnded, Event, TrialEnded
from orchestrator.report.parameter_importance import LEAST_COMPLETED
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tuning.importance import parameter_importances


def state_of(trials: int, sweep: str = "stroke_hybrid", **changes: object) -> SweepState:
    return replay(search_events(search_plan(sweep, **changes), trials, 6))


def test_what_the_score_depends_on_is_named_first_for_every_architecture() -> None:
    found = parameter_importances(state_of(200, "stroke_timm"))
    assert list(found) == ["timm/resnet18", "timm/vit_tiny_patch16_224"]
    for shares in found.values():
        assert next(iter(shares)) == "lr"
        assert shares["lr"] > 0.4
        assert abs(sum(shares.values()) - 1) < 1e-9
        assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_only_searched_parameters_are_told_conditional_ones_too() -> None:
    state = state_of(200)
    space = state.plan.architectures["resnet_vit"]
    (shares,) = parameter_importances(state).values()
    assert shares.keys() == {name for name, parameter in space.items() if parameter.kind != "fixed"}
    assert {"warmup_fraction", "unfreeze_epoch"} <= shares.keys()


def test_the_same_journal_gives_the_same_shares() -> None:
    assert parameter_importances(state_of(80)) == parameter_importances(state_of(80))


def test_a_lower_loss_is_better() -> None:
    (shares,) = parameter_importances(state_of(200, metric="log_loss", direction="min")).values()
    assert next(iter(shares)) == "lr"


def test_too_few_completed_trials_tell_nothing() -> None:
    state = state_of(200)
    completed = [trial for trial in state.trials.values() if trial.state == "completed"]
    for trial in completed[LEAST_COMPLETED - 1 :]:
        trial.state = "pruned"
    assert parameter_importances(state) == {}
    completed[-1].state = "completed"
    assert parameter_importances(state).keys() == {"resnet_vit"}


def test_trials_that_score_the_same_or_nothing_tell_nothing() -> None:
    def changed(event: Event, score: float | None) -> Event:
        if isinstance(event, EpochEnded):
            return event.model_copy(update={"metrics": {"val/auroc": score}})
        return event.model_copy(update={"state": "completed"}) if isinstance(event, TrialEnded) else event

    events = list(search_events(search_plan(), 40, 6))
    for score in (0.5, None):
        assert parameter_importances(replay([changed(event, score) for event in events])) == {}
    assert parameter_importances(replay([started(search_plan())])) == {}
