"""Whatever a sweep may write: any part of it from its first line on replays to what was known at that point."""

from collections import Counter
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_support import epoch, make_plan, started, suggested

from orchestrator.journal import (
    ArchitectureChecked,
    ArchitectureGivenUp,
    EpochEnded,
    FinalistEvaluated,
    FoldEvaluated,
    MicroBatchLimited,
    Registered,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    SweepTracked,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.plan import SweepPlan
from orchestrator.sweep_state import SweepState, replay


def resumed(plan: SweepPlan, extended: Iterable[int] = ()) -> SweepResumed:
    return SweepResumed(
        plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={}, extended=[*extended]
    )


PLAN = make_plan()
NUMBERS = st.integers(0, 3)
METRICS = st.dictionaries(st.sampled_from(["auroc", "log_loss"]), st.floats(0, 1) | st.none())
WORDS = st.text(max_size=9)
ARCHITECTURES = st.sampled_from(["resnet_vit", "baseline_cnn"])
EVENTS = st.one_of(
    st.builds(suggested, NUMBERS),
    st.builds(TrialStarted, trial=NUMBERS),
    st.builds(epoch, NUMBERS, st.integers(1, 9), st.floats(0, 1) | st.none()),
    st.builds(TrialEnded, trial=NUMBERS, state=st.sampled_from(["completed", "pruned", "failed"]), reason=WORDS),
    st.builds(ArchitectureChecked, architecture=ARCHITECTURES, step_s=st.floats(0, 9),
              trainable_parameters=st.integers(0, 9), total_parameters=st.integers(0, 9)),
    st.builds(MicroBatchLimited, trial=NUMBERS, architecture=ARCHITECTURES, micro_batch_size=st.integers(1, 8)),
    st.builds(ArchitectureGivenUp, architecture=ARCHITECTURES, reason=WORDS),
    st.builds(FinalistEvaluated, trial=NUMBERS, validation=METRICS, test=METRICS),
    st.builds(FoldEvaluated, trial=NUMBERS, fold=st.integers(0, 2), epoch=st.integers(0, 9), validation=METRICS),
    st.builds(SeedEvaluated, trial=NUMBERS, seed_index=st.integers(1, 2), seed=st.integers(0, 9),
              epoch=st.integers(0, 9), validation=METRICS),
    st.builds(WinnerChosen, trial=NUMBERS),
    st.builds(SweepTracked, tracking_uri=WORDS, run_id=st.none() | WORDS, trial_run_ids=st.dictionaries(NUMBERS, WORDS),
              registered=st.none() | st.builds(Registered, name=WORDS, version=WORDS, aliases=st.just(["x"])),
              fault=WORDS),
    st.builds(SweepEnded, state=st.sampled_from(["completed", "interrupted", "failed"])),
    st.builds(resumed, st.just(PLAN), st.sets(NUMBERS)),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=40), st.integers(0, 40))
def test_any_prefix_replays_to_what_one_fold_over_all_had_at_that_point(events: list, length: int) -> None:
    """Whatever a sweep may write: a trial is suggested before anything else is told of it, no epoch is skipped."""
    known: set[int] = set()
    trained: Counter[int] = Counter()
    lines: list = [started(PLAN)]
    for event in events:
        number = getattr(event, "trial", None)
        if event.kind == "trial_suggested" and number not in known:
            known.add(number)
        elif number is not None and (number not in known or event.kind == "trial_suggested"):
            continue
        if isinstance(event, EpochEnded):  # one that was trained before is told again, or it is the next one
            event = event.model_copy(update={"epoch": min(event.epoch, trained[event.trial] + 1)})
            trained[event.trial] = max(trained[event.trial], event.epoch)
        if isinstance(event, SweepResumed):
            event = event.model_copy(update={"extended": sorted(known.intersection(event.extended))})
        lines.append(event)
    state = replay(lines[:1])
    for event in lines[1 : 1 + length]:
        state.apply(event)
    again = replay(lines[: 1 + length])
    assert again == state
    for number, one in again.trials.items():
        epochs = [ended.epoch for ended in one.epochs]
        assert epochs == sorted(set(epochs)), "each epoch once, in order"
        assert (one.best is None) == (not epochs)
        assert number in known
    _require_every_measure_once(again, lines[: 1 + length])


def _require_every_measure_once(state: SweepState, lines: list) -> None:
    """What was measured of a finalist last counts, or is kept as void; what was replaced since is neither."""
    counts: list = list(state.finalists.values())
    counts += [event for over in ("fold", "seed") for told in state.retrained(over).values() for event in told.values()]
    void = [gone.event for given_up in state.void.values() for gone in given_up]
    place = {
        id(event): (event.kind, event.trial, getattr(event, "number", 0)) for event in lines if hasattr(event, "trial")
    }
    assert all(id(event) in place for event in [*counts, *void])
    assert not {id(event) for event in counts} & {id(event) for event in void}
    measured = [event for event in lines if isinstance(event, FinalistEvaluated | FoldEvaluated | SeedEvaluated)]
    last = {place[id(event)]: event for event in measured}
    assert all(any(event is one for one in [*counts, *void]) for event in last.values())
