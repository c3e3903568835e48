"""What is known of a registered model, and the predictions it rests on: three files that travel with the version."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import BadInput
from trainables.catalog import Task
from trainables.data.records import Side
from trainables.errors import DataError
from trainables.evaluation.predictions import Predictions, read_predictions

FOLDER = "evidence"
EVIDENCE_FILE = "evidence.json"
CARD_FILE = "model_card.md"
SIDES: tuple[Side, ...] = ("validation", "test")


class Cost(BaseModel):
    """What a model takes; `machine` says where the times were measured, for they compare on one alone."""

    model_config = ConfigDict(frozen=True)

    parameters: int | None  # of journals that do not tell
    trainable_parameters: int | None
    training_s: float
    epochs: int
    image_ms: float | None = None  # shortest time for one image
    machine: str = ""


class ExplainerVerdict(BaseModel):
    """What an explainer's maps are worth: None where it cannot be told; the sentences say why."""

    model_config = ConfigDict(frozen=True)

    method: str
    beats_controls: bool | None
    depends_on_model: bool | None
    sentences: tuple[str, str]  # beside controls, and of models of noise


class Evidence(BaseModel):
    """Where a model comes from and what its evaluation said; nothing here decides anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    task: str
    title: str
    name: str  # in the registry
    classes: tuple[str, ...]
    severity: tuple[str, ...] = ()
    metric: str  # the task's primary one, whatever a sweep chose its winner by
    chosen_by: str = ""  # the metric of the sweep
    architecture: str
    source: str
    hyperparameters: dict[str, Any]
    sweep_id: str
    trial: int
    seed: int
    plan_digest: str
    data_kind: str
    data_digest: str
    split: str
    split_digest: str
    grouped_by: str
    test_digest: str
    images: dict[str, dict[str, int]]
    leaks: dict[str, int]
    licence: str
    audit: dict[str, Any]
    seeds: dict[str, tuple[float, float, int]] = {}
    explanations: dict[str, ExplainerVerdict] = {}  # by explainer; empty where nothing was explained
    unexplained: str = ""  # why explaining was tried and gave nothing
    explaining_failed: bool = False  # so; else no explainer can be used on such a model
    cost: Cost
    code: dict[str, str]
    versions: dict[str, str]
    predictions_sha256: dict[str, str]  # side -> digest of its table
    files_sha256: dict[str, str] = {}  # further files of the bundle
    weights_sha256: str = ""  # of the file that was evaluated
    evaluation: dict[str, Any]  # metrics.json

    def as_task(self) -> Task:
        """Return what an evaluation needs to know of the task as it was, whatever the catalog says now."""
        return Task(name=self.task, title=self.title, classes=self.classes, layout="", severity=self.severity)


@dataclass(frozen=True)
class EvidenceFolder:
    """The bundle of one version on this disk; its tables are read when they are asked for."""

    path: Path

    @cached_property
    def evidence(self) -> Evidence:
        """Return what evidence.json says. Raises BadInput where it is missing or damaged."""
        try:
            return Evidence.model_validate_json((self.path / EVIDENCE_FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise BadInput(f"{EVIDENCE_FILE}: no evidence of a model ({_first(error)})") from None

    @property
    def card(self) -> str:
        """Return the evidence as Markdown."""
        return (self.path / CARD_FILE).read_text(encoding="utf-8")

    @cached_property
    def test(self) -> Predictions:
        """Return the predictions on test. Raises BadInput as `evidence`."""
        return self.predictions("test")

    def predictions(self, side: Side) -> Predictions:
        """Return the predictions on a side. Raises BadInput as `evidence`."""
        try:
            return read_predictions(self.path / table_file(side), self.evidence.classes, side)
        except DataError as error:
            raise BadInput(str(error)) from None


def table_file(side: Side) -> str:
    """Return the name of a side's table."""
    return f"predictions_{side}.csv"


def digest_of(path: Path) -> str:
    """Return the digest of a file's bytes, empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return ": ".join([*filter(None, [".".join(map(str, fault["loc"]))]), fault["msg"]])
    return getattr(error, "strerror", None) or str(error)
