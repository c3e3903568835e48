"""Versions of a model that judged the same images: who is best, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.ranking import with_interval
from trainables.catalog import Task
from trainables.evaluation.evaluation import OperatingPoint, SideEvaluation
from trainables.evaluation.intervals import Interval
from trainables.evaluation.metrics import METRICS, rank_key
from trainables.evaluation.paired_tests import PairedDifference, compare_models, holm
from trainables.evaluation.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class JudgedVersion:
    """A version and what it says of the images; `seen_images` of them its development has seen, as far as is known."""

    version: str
    aliases: tuple[str, ...]
    architecture: str
    predictions: Predictions
    scored: SideEvaluation
    operating_point: OperatingPoint
    seen_images: int = 0


@dataclass(frozen=True, kw_only=True)
class RankedVersion:
    """A version's place; `behind` says by how much the first is better, `p_adjusted` how sure that is. Equals share."""

    rank: int
    judged: JudgedVersion
    metrics: dict[str, Interval]
    behind: PairedDifference | None  # None of the first
    p_adjusted: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        judged, behind, point = self.judged, self.behind, self.judged.operating_point
        at_point = None if point.test is None else {"threshold": point.threshold, **_plain(point)}
        return {
            "rank": self.rank,
            "version": judged.version,
            "aliases": list(judged.aliases),
            "architecture": judged.architecture,
            "metrics": {name: list(interval) for name, interval in self.metrics.items()},
            "operating_point": at_point,
            "seen_images": judged.seen_images,
            "behind_first": None
            if behind is None
            else {
                "difference": [behind.value, behind.low, behind.high],
                "p_value": behind.p_value,
                "p_adjusted": self.p_adjusted,
                "method": behind.method,
                "reason": behind.reason,
            },
        }


def rank_versions(task: Task, judged: Sequence[JudgedVersion]) -> list[RankedVersion]:
    """Return the versions, best first by the task's metric; ties go to the lower log loss, then the older version.

    All hold predictions of the same cases in one order. p-values are adjusted (Holm) for every pair of versions that
    could have been compared: which one is first was seen on these very images.
    """
    metric = task.primary_metric
    ordered = sorted(judged, key=lambda one: (*(-part for part in _key(one, metric)), int(one.version)))
    first = ordered[0]
    behind = {one.version: _behind(task, first, one) for one in ordered[1:]}
    p_values = {version: found.p_value for version, found in behind.items() if found.p_value is not None}
    num_pairs = len(ordered) * (len(ordered) - 1) // 2
    others = {f"pair {number}": 1.0 for number in range(num_pairs - len(p_values))}  # not tested, so never significant
    adjusted = holm(p_values | others)
    values = [one.scored.overall.metrics[metric] for one in ordered]
    return [
        RankedVersion(
            rank=values.index(value) + 1,
            judged=one,
            metrics=with_interval(one.scored.overall.metrics, one.scored.overall.intervals),
            behind=behind.get(one.version),
            p_adjusted=adjusted.get(one.version),
        )
        for one, value in zip(ordered, values, strict=True)
    ]


def _key(one: JudgedVersion, metric: str) -> tuple[float, float]:
    assert metric in METRICS
    return rank_key(one.scored.overall.metrics, metric)


def _behind(task: Task, first: JudgedVersion, other: JudgedVersion) -> PairedDifference:
    mine, theirs = first.predictions, other.predictions
    return compare_models(
        mine.probs_NK, theirs.probs_NK, mine.labels_N, mine.groups_N, task.primary_metric, task.severity_K
    )


def _plain(point: OperatingPoint) -> dict[str, list[float | None]]:
    assert point.test is not None
    return {"sensitivity": list(point.test.sensitivity), "specificity": list(point.test.specificity)}
