"""What MLflow shows of a finalist: metrics by side, class and modality, those of its trainings again, and tags."""

import math
from collections.abc import Sequence

from mlflow.entities import Metric

from orchestrator.journal import FinalistEvaluated, FoldEvaluated, SeedEvaluated
from orchestrator.ranking import choose_finalists, spread_of
from orchestrator.sweep_state import SweepState, Void

Retrained = FoldEvaluated | SeedEvaluated


def finalist_metrics(event: FinalistEvaluated) -> list[Metric]:
    """Return every number of the event; the bounds of a 95 % interval are <metric>_low and <metric>_high."""
    named: dict[str, float | None] = dict(event.further)
    sides = {"final_val": event.validation, "test": event.test, "test_leak_free": event.test_leak_free or {}}
    for side, scores in sides.items():
        named |= {f"{side}/{name}": value for name, value in scores.items()}
    for side, intervals in {"test": event.test_intervals, "test_leak_free": event.leak_free_intervals}.items():
        for name, (low, high) in intervals.items():
            named |= {f"{side}/{name}_low": low, f"{side}/{name}_high": high}
    at_ms = int(event.time * 1000)
    return [Metric(name, value, at_ms, 0) for name, value in named.items() if value is not None]


def retrained_metrics(event: Retrained, state: SweepState) -> list[Metric]:
    """Return the validation metrics on one fold or from one seed, and the spread over those until then.

    Whenever it is asked for, it is the same: what was told later, or is void since, changes nothing.
    """
    at_ms = int(event.time * 1000)
    metrics = [
        Metric(f"{event.over}/{name}", value, at_ms, event.number)
        for name, value in event.validation.items()
        if value is not None
    ]
    until_then = [one for one in _with(event, state) if one.time <= event.time]
    for name, (mean, deviation, _) in spread_of(until_then).items():
        named = {f"{event.over}s/{name}_mean": mean, f"{event.over}s/{name}_sd": deviation}
        metrics += [Metric(key, value, at_ms, 0) for key, value in named.items()]
    return metrics


def void_metrics(known: Sequence[Void], state: SweepState) -> list[Metric]:
    """Return no number in place of each that was measured and no longer counts: MLflow takes none back."""
    found = []
    for void in known:
        event = void.event
        given = finalist_metrics(event) if isinstance(event, FinalistEvaluated) else retrained_metrics(event, state)
        found += [Metric(metric.key, math.nan, int(void.since * 1000), metric.step) for metric in given]
    return found


def finalist_tags(event: FinalistEvaluated) -> dict[str, str]:
    """Return what is said of an evaluation in words."""
    tags = {"leak_free_test_images": str(event.leak_free_images), "test_groups": str(event.test_groups)}
    return tags | ({"leak_free_reason": event.leak_free_reason} if event.leak_free_reason else {})


def standing(state: SweepState, number: int) -> str:
    """Return whether a trial that was evaluated is a finalist still: "true", or in words why not."""
    if number not in state.finalists:
        best = state.trials[number].best
        return f"void: epoch {best.epoch if best else 0} became its best after it was evaluated"
    if state.has_completed and number not in [trial.number for trial in choose_finalists(state)]:
        return "former: others are the finalists now; its test metrics are those of its weights"
    return "true"


def _with(event: Retrained, state: SweepState) -> Sequence[Retrained]:
    """Return the trainings that an event is one of: those that count, or those that became void together with it."""
    current = list(state.retrained(event.over).get(event.trial, {}).values())
    if event in current:
        return current
    void = [(one.event, one.since) for one in state.void.get(event.trial, [])]
    together = {since for one, since in void if one == event}
    return [one for one, since in void if since in together and isinstance(one, type(event))]
