"""The one record of a sweep: append-only JSON lines, one writer; sweep_state.py folds them into what is known."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import BadInput
from orchestrator.plan import SweepPlan
from orchestrator.space import Scalar

SYNC_TO_DISK_S = 1.0

Metrics = dict[str, float | None]
TrialEnd = Literal["completed", "pruned", "failed"]
SweepEnd = Literal["completed", "interrupted", "failed"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    time: float = Field(default_factory=time.time)  # seconds since 1970


class SweepStarted(_Event):
    """First line of every journal."""

    kind: Literal["sweep_started"] = "sweep_started"
    schema_version: Literal[2] = 2
    sweep_id: str
    plan: SweepPlan
    plan_digest: str
    slots: int
    device: str
    versions: dict[str, str]
    git: dict[str, str]


class ArchitectureChecked(_Event):
    """Preflight: the architecture was built and took one training batch."""

    kind: Literal["architecture_checked"] = "architecture_checked"
    architecture: str
    trainable_parameters: int
    total_parameters: int
    step_s: float


class TrialStarted(_Event):
    """A trial got an actor; its number is its identity."""

    kind: Literal["trial_started"] = "trial_started"
    trial: int
    architecture: str
    hyperparameters: dict[str, Scalar]
    seed: int
    published: bool


class EpochEnded(_Event):
    """One epoch of one trial."""

    kind: Literal["epoch_ended"] = "epoch_ended"
    trial: int
    epoch: int
    metrics: Metrics


class TrialEnded(_Event):
    """A trial will train no further; the reason is in words."""

    kind: Literal["trial_ended"] = "trial_ended"
    trial: int
    state: TrialEnd
    reason: str


class FinalistEvaluated(_Event):
    """One of the best trials, its best epoch's weights evaluated on validation and, once, on test."""

    kind: Literal["finalist_evaluated"] = "finalist_evaluated"
    trial: int
    validation: Metrics
    test: Metrics
    test_intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)  # 95 %, low and high, by group
    test_groups: int = 0  # how many groups the test images come from; 0 where no intervals were sought
    test_leak_free: Metrics | None = None  # on the test images that development has not seen
    leak_free_intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    leak_free_images: int = 0
    leak_free_reason: str = ""  # why a metric of the leak-free part is None
    further: dict[str, float] = Field(default_factory=dict)  # per class and modality, calibrated: test/MR/auroc ...


class FoldEvaluated(_Event):
    """A finalist's configuration trained again with another fold as validation: its best epoch there."""

    kind: Literal["fold_evaluated"] = "fold_evaluated"
    trial: int
    fold: int  # 0 is the fold of the search itself
    epoch: int
    validation: Metrics


class WinnerChosen(_Event):
    """The best finalist by validation; its folder is ready to be registered."""

    kind: Literal["winner_chosen"] = "winner_chosen"
    trial: int


class Registered(BaseModel):
    """A version in the model registry."""

    name: str
    version: str
    aliases: list[str]


class SweepTracked(_Event):
    """What sync made of the journal in MLflow."""

    kind: Literal["sweep_tracked"] = "sweep_tracked"
    tracking_uri: str
    run_id: str | None
    trial_run_ids: dict[int, str]
    registered: Registered | None
    fault: str = ""  # why nothing was registered


class SweepEnded(_Event):
    """Last line of a journal."""

    kind: Literal["sweep_ended"] = "sweep_ended"
    state: SweepEnd
    reason: str = ""


Event = Annotated[
    SweepStarted
    | ArchitectureChecked
    | TrialStarted
    | EpochEnded
    | TrialEnded
    | FinalistEvaluated
    | FoldEvaluated
    | WinnerChosen
    | SweepTracked
    | SweepEnded,
    Field(discriminator="kind"),
]
Watch = Callable[[Event], None]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class JournalWriter:
    """The only writer of a journal; every event also goes to `watch`. On disk at once, epochs within a second or so."""

    def __init__(self, path: Path, watch: Watch) -> None:
        self._file = path.open("ab")
        self._watch = watch
        self._synced_at_s = time.monotonic()

    def append(self, event: Event) -> None:
        """Write one line; other processes see it at once."""
        self._file.write(_EVENT.dump_json(event) + b"\n")
        self._file.flush()
        if time.monotonic() - self._synced_at_s > SYNC_TO_DISK_S or not isinstance(event, EpochEnded):
            os.fsync(self._file.fileno())
            self._synced_at_s = time.monotonic()
        self._watch(event)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Bring the last lines to disk and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Return the events from a byte offset on, and the offset after the last whole line; a torn last line waits.

    Raises BadInput naming the line that is damaged.
    """
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    events = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            events.append(_EVENT.validate_json(line))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise BadInput(f"{path}: line {number} after byte {offset} is damaged: {where}: {fault['msg']}") from None
    return events, offset + len(whole)
