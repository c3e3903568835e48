"""What MLflow shows of a finalist's evaluation: metrics by side, class and modality, and tags."""

from mlflow.entities import Metric

from orchestrator.journal import FinalistEvaluated


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


def finalist_tags(event: FinalistEvaluated) -> dict[str, str]:
    """Return what is said of a finalist in words."""
    tags = {
        "finalist": "true",
        "leak_free_test_images": str(event.leak_free_images),
        "test_groups": str(event.test_groups),
    }
    return tags | ({"leak_free_reason": event.leak_free_reason} if event.leak_free_reason else {})
