"""What MLflow shows of finalists whose sweep went on: the numbers that count now, whenever they were sent."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from record_support import forget_what_was_sent
from sync_support import events, runs_of, write

from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    TrialEnded,
    TrialStarted,
)
from orchestrator.tracking.store import open_store
from orchestrator.tracking.sync import Sync


def evaluated(trial: int, auroc: float, **further: float) -> FinalistEvaluated:
    return FinalistEvaluated(
        trial=trial, validation={"auroc": auroc}, test={"auroc": auroc - 0.1}, test_intervals={"auroc": (0.1, 0.9)},
        further=further,
    )  # fmt: skip


def again(auroc: float, trial: int = 0) -> list[Event]:
    """A trial trained again from two seeds and on two folds."""
    seeds = [
        SeedEvaluated(trial=trial, epoch=2, validation={"auroc": auroc + 0.01 * n}, seed_index=n, seed=n)
        for n in range(2)
    ]
    folds = [FoldEvaluated(trial=trial, epoch=2, validation={"auroc": auroc + 0.02 * n}, fold=n) for n in range(2)]
    return [*seeds, *folds]


def resumed(first: Event, extended: list[int]) -> SweepResumed:
    return SweepResumed(
        plan=first.plan, plan_digest="q", slots=1, device="cpu", versions={}, git={}, extended=extended
    )  # fmt: skip


def phases(sweep_id: str) -> list[list[Event]]:
    """A sweep to its end, its epochs raised so that trial 0 gets another best epoch, and its second end."""
    first = [*events(sweep_id, end=False), evaluated(0, 0.8, **{"test/CT/auroc": 0.6}), *again(0.8)]
    first.append(SweepEnded(state="completed"))
    better = EpochEnded(trial=0, epoch=4, metrics={"val/auroc": 0.95, "val/log_loss": 0.4, "perf/epoch_s": 1.0})
    more = [resumed(first[0], [0]), TrialStarted(trial=0, after_epoch=3), better]
    ended = TrialEnded(trial=0, state="completed", reason="all 4 epochs trained")
    second = [ended, evaluated(0, 0.9), *again(0.7), SweepEnded(state="completed")]
    return timed([first, more, second])


def timed(phases: Sequence[Sequence[Event]]) -> list[list[Event]]:
    """Give every event a time of its own."""
    at = iter(range(1_800_000_000, 1_900_000_000))
    return [[event.model_copy(update={"time": float(next(at))}) for event in phase] for phase in phases]


def shown(client: MlflowClient, sweep_id: str, trial: str = "0") -> dict[str, float]:
    return dict(runs_of(client, sweep_id)[trial].data.metrics)


def points(client: MlflowClient, sweep_id: str, trial: str = "0") -> dict[str, list[str]]:
    """Every point of what a trial's evaluations found, as text: what is no number equals itself then."""
    run = runs_of(client, sweep_id)[trial]
    histories = {
        name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics if _is_measured(name)
    }
    return {
        name: sorted(f"{point.step} {point.timestamp} {point.value}" for point in history)
        for name, history in histories.items()
    }


def _is_measured(metric: str) -> bool:
    return metric.startswith(("test", "final", "seed", "fold"))


def test_what_was_measured_anew_is_shown_whenever_it_was_sent_and_once(sweep: Path, store_home: Home) -> None:
    client = open_store(store_home, None)
    for phase in phases("early"):
        write(sweep, phase)
        Sync(sweep, store_home, None).pass_once()
    early = shown(client, "early")
    assert early["seed/auroc"] == pytest.approx(0.71)
    assert early["seeds/auroc_mean"] == pytest.approx(0.705)
    assert early["fold/auroc"] == pytest.approx(0.72)
    assert early["folds/auroc_mean"] == pytest.approx(0.71)
    assert early["test/auroc"] == pytest.approx(0.8)
    assert math.isnan(early["test/CT/auroc"]), "the second evaluation does not tell it"
    once = points(client, "early")
    forget_what_was_sent(sweep)
    Sync(sweep, store_home, None).pass_once()
    assert points(client, "early") == once, "sent again, nothing is doubled"
    (sweep / "journal.jsonl").unlink()
    forget_what_was_sent(sweep)
    write(sweep, [event for phase in phases("late") for event in phase])
    Sync(sweep, store_home, None).pass_once()
    assert points(client, "late") == once
    assert runs_of(client, "late")["0"].data.tags["orchestrate.finalist"] == "true"


def test_an_evaluation_that_became_void_is_not_shown_as_one_of_now(sweep: Path, store_home: Home) -> None:
    client = open_store(store_home, None)
    first, more, _ = phases("void")
    write(sweep, first)
    Sync(sweep, store_home, None).pass_once()
    assert shown(client, "void")["test/auroc"] == pytest.approx(0.7)
    write(sweep, more)
    Sync(sweep, store_home, None).pass_once()
    run = runs_of(client, "void")["0"]
    assert run.data.tags["orchestrate.finalist"] == "void: epoch 4 became its best after it was evaluated"
    measured = [name for name in run.data.metrics if _is_measured(name)]
    assert len(measured) == 11 and all(math.isnan(run.data.metrics[name]) for name in measured), measured
    assert run.data.metrics["val/auroc"] == 0.95
    experiment = client.get_experiment_by_name("stroke").experiment_id
    by_test = "tags.`orchestrate.sweep_id` = 'void' AND metrics.`test/auroc` > 0"
    assert client.search_runs([experiment], by_test) == []


def test_a_finalist_that_others_took_the_place_of_says_so(sweep: Path, store_home: Home) -> None:
    lines = [event for event in events("former", end=False) if not (isinstance(event, TrialEnded) and event.trial)]
    for number in (1, 2):
        lines.append(TrialEnded(trial=number, state="completed", reason="all"))
    lines.append(evaluated(2, 0.8))  # of three equal ones the last
    plan = lines[0].plan.model_copy(update={"budget": lines[0].plan.budget.model_copy(update={"finalists": 1})})
    lines[0] = lines[0].model_copy(update={"plan": plan})
    write(sweep, [*lines, evaluated(0, 0.8), SweepEnded(state="completed")])
    Sync(sweep, store_home, None).pass_once()
    runs = runs_of(open_store(store_home, None), "former")
    assert runs["0"].data.tags["orchestrate.finalist"] == "true"
    assert runs["2"].data.tags["orchestrate.finalist"].startswith("former: others are the finalists now")
    assert runs["2"].data.metrics["test/auroc"] == pytest.approx(0.7), "what is true of its weights stays"


def test_an_evaluation_that_is_told_twice_stands_once(sweep: Path, store_home: Home) -> None:
    """A machine that went down took the line with it; the same weights were evaluated again."""
    client = open_store(store_home, None)
    lines = events("twice", end=False)
    (told, lost) = timed([[*lines, evaluated(0, 0.8)], [evaluated(0, 0.8)]])
    write(sweep, told)
    Sync(sweep, store_home, None).pass_once()
    once = points(client, "twice")
    (sweep / "journal.jsonl").unlink()
    write(sweep, [*told[:-1], *lost])
    forget_what_was_sent(sweep)
    Sync(sweep, store_home, None).pass_once()
    assert points(client, "twice") == once
