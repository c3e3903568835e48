"""Sweep file + data + budget -> one frozen plan with a digest; what --dry-run prints."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from orchestrator.space import Scalar, Space
from orchestrator.sweep_sections import Budget, Preset, Published, Scheduler, Search
from trainables.catalog import TASKS, Task, Weights

DataKind = Literal["real", "phantom"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSummary(_Frozen):
    """What the plan says of the data: digests and counts, no path (paths may name people)."""

    kind: DataKind
    digest: str
    split_digest: str
    test_digest: str  # of the test images alone: what the ledger of test reads counts by
    split: Literal["shipped", "grouped"]
    grouped_by: Literal["patient", "audit", "patient and audit"]
    folds: int = 1
    images: dict[str, dict[str, int]]  # side -> class -> images
    leaks: dict[str, int]  # why a test image was seen in development -> images
    unreadable: int
    notes: tuple[str, ...] = ()


class WarmPoint(_Frozen):
    """A configuration of an earlier sweep's trial, as a point of this one's search space; `score` by its metric."""

    sweep_id: str
    trial: int
    same_data: bool
    score: float | None
    values: dict[str, Scalar]


class SweepPlan(_Frozen):
    """Everything that decides a sweep's results, and nothing else; equal plans have equal digests."""

    schema_version: Literal[1] = 1
    sweep: str
    task: str
    classes: tuple[str, ...]
    data: DataSummary
    preset: Preset
    weights: Weights
    seed: int
    metric: str
    direction: Literal["max", "min"]
    architectures: dict[str, Space]
    published: dict[str, bool]
    budget: Budget
    seeds: int = 1  # from which each finalist is trained again, where there are several; the best mean wins
    search: Search
    scheduler: Scheduler
    published_scores: Published = Published()  # of older journals: none
    warm_points: dict[str, tuple[WarmPoint, ...]] = {}  # by architecture, in `search` too; of older journals: none

    @property
    def digest(self) -> str:
        """Return 16 hex digits that change with anything in the plan."""
        decide_nothing: Any = {"data": {"notes"}, "published_scores": True}  # words, and what others found
        deciding = self.model_dump(mode="json", exclude=decide_nothing)
        canonical = json.dumps(deciding, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def registered_name(self) -> str:
        """Return the model's name in the registry; phantom results never stand under the real name."""
        return registered_name(TASKS[self.task], self.data.kind)


def registered_name(task: Task, kind: DataKind) -> str:
    """Return the registry's name for a task's models on a kind of data."""
    return task.name if kind == "real" else f"{task.name}_phantom"
