"""The one record of a sweep: append-only JSON lines, one writer; sweep_state.py folds them into what is known."""

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import BadInput, DiskFull
from orchestrator.journal_values import Further, Intervals, Metrics, Words
from orchestrator.plan import SweepPlan
from orchestrator.space import Scalar
from trainables.durable import sync_folder

SYNC_TO_DISK_S = 1.0
RESERVE = "journal.reserve"  # holds room for a journal's last lines
RESERVE_BYTES = 2**20

TrialEnd = Literal["completed", "pruned", "failed"]
SweepEnd = Literal["completed", "interrupted", "failed"]
Over = Literal["fold", "seed"]  # what a finalist is trained again over


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)  # no line could be read that has one

    time: float = Field(default_factory=time.time)  # seconds since 1970


class SweepStarted(_Event):
    """First line of every journal."""

    kind: Literal["sweep_started"] = "sweep_started"
    schema_version: Literal[3] = 3
    sweep_id: str
    plan: SweepPlan
    plan_digest: str
    slots: int
    device: str
    versions: dict[str, str]
    git: dict[str, str]
    hardware: dict[str, str] = Field(default_factory=dict)


class SweepResumed(_Event):
    """The sweep goes on after an interruption or its end; the plan differs from before in its budget only.

    `extended` are trials that had trained all their epochs and now train the new ones too.
    """

    kind: Literal["sweep_resumed"] = "sweep_resumed"
    plan: SweepPlan
    plan_digest: str
    slots: int
    device: str
    versions: dict[str, str]
    git: dict[str, str]
    extended: list[int] = Field(default_factory=list)


class ArchitectureChecked(_Event):
    """Preflight: the architecture was built and took a few training steps."""

    kind: Literal["architecture_checked"] = "architecture_checked"
    architecture: str
    trainable_parameters: int
    total_parameters: int
    step_s: float  # median of the steps after the first
    peak_memory_mib: float | None = None  # of the device while it trains; on a CPU what the process grew by
    steps_per_epoch: int = 0

    @property
    def epoch_s(self) -> float:
        """Return how long the training part of an epoch should take."""
        return self.step_s * self.steps_per_epoch


class TrialSuggested(_Event):
    """A configuration was proposed; its number is the trial's identity for good."""

    kind: Literal["trial_suggested"] = "trial_suggested"
    trial: int
    architecture: str
    hyperparameters: dict[str, Scalar]
    seed: int
    published: bool


class TrialStarted(_Event):
    """A trial got an actor, for the first time or to go on after the epochs that the journal holds."""

    kind: Literal["trial_started"] = "trial_started"
    trial: int
    after_epoch: int = 0


class EpochEnded(_Event):
    """One epoch of one trial."""

    kind: Literal["epoch_ended"] = "epoch_ended"
    trial: int
    epoch: int
    metrics: Metrics
    stop_reason: Words = ""  # why training ends with this epoch, where that is before the last one
    node: Words = ""  # that it was trained on, where that is not the driver's


class MicroBatchLimited(_Event):
    """A trial met the end of the memory; later ones of its architecture take no more images at a time than this."""

    kind: Literal["micro_batch_limited"] = "micro_batch_limited"
    trial: int
    architecture: str
    micro_batch_size: int


class ArchitectureGivenUp(_Event):
    """The first trials of an architecture failed alike: no more are tried."""

    kind: Literal["architecture_given_up"] = "architecture_given_up"
    architecture: str
    reason: Words


class TrialEnded(_Event):
    """A trial will train no further; the reason is in words."""

    kind: Literal["trial_ended"] = "trial_ended"
    trial: int
    state: TrialEnd
    reason: Words


class FinalistEvaluated(_Event):
    """One of the best trials, its best epoch's weights evaluated on validation and, once, on test."""

    kind: Literal["finalist_evaluated"] = "finalist_evaluated"
    trial: int
    validation: Metrics
    test: Metrics
    test_intervals: Intervals = Field(default_factory=dict)
    test_groups: int = 0  # how many groups the test images come from; 0 where no intervals were sought
    test_leak_free: Metrics | None = None  # on the test images that development has not seen
    leak_free_intervals: Intervals = Field(default_factory=dict)
    leak_free_images: int = 0
    leak_free_reason: Words = ""  # why a metric of the leak-free part is None
    further: Further = Field(default_factory=dict)  # per class and modality, calibrated: test/MR/auroc ...


class _Retrained(_Event):
    """A finalist's configuration trained again: its best epoch; without metrics where training broke down."""

    trial: int
    epoch: int
    validation: Metrics


class FoldEvaluated(_Retrained):
    """A finalist's configuration trained again with another fold as validation."""

    kind: Literal["fold_evaluated"] = "fold_evaluated"
    over: ClassVar[Over] = "fold"
    fold: int  # 0 is the fold of the search itself

    @property
    def number(self) -> int:
        """Return which of the folds it is, counted from 1."""
        return self.fold + 1


class SeedEvaluated(_Retrained):
    """A finalist's configuration trained again from another seed, on the split of the search."""

    kind: Literal["seed_evaluated"] = "seed_evaluated"
    over: ClassVar[Over] = "seed"
    seed_index: int  # from 1; in journals of before 0 is the search's own training
    seed: int

    @property
    def number(self) -> int:
        """Return which of the seeds it is, counted from 1."""
        return self.seed_index


class WinnerChosen(_Event):
    """The best finalist by validation, by the mean over seeds where there are some; its folder can be registered."""

    kind: Literal["winner_chosen"] = "winner_chosen"
    trial: int


class Registered(BaseModel):
    """A version in the model registry."""

    name: str
    version: str
    aliases: list[str]
    decision: Words = ""  # what the promotion policy said of it


class SweepTracked(_Event):
    """What sync made of the journal in MLflow."""

    kind: Literal["sweep_tracked"] = "sweep_tracked"
    tracking_uri: str
    run_id: str | None
    trial_run_ids: dict[int, str]
    registered: Registered | None
    fault: Words = ""  # why nothing was registered


class SweepEnded(_Event):
    """Last line of a journal, but for what was registered later."""

    kind: Literal["sweep_ended"] = "sweep_ended"
    state: SweepEnd
    reason: Words = ""


Event = Annotated[
    SweepStarted
    | SweepResumed
    | ArchitectureChecked
    | TrialSuggested
    | TrialStarted
    | EpochEnded
    | MicroBatchLimited
    | ArchitectureGivenUp
    | TrialEnded
    | FinalistEvaluated
    | FoldEvaluated
    | SeedEvaluated
    | WinnerChosen
    | SweepTracked
    | SweepEnded,
    Field(discriminator="kind"),
]
Watch = Callable[[Event], None]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class JournalWriter:
    """The only writer of a journal; every event also goes to `watch`.

    Other processes see a line at once; it is on disk within a second, and before `close` returns; where that fails
    the next `append` says so. A torn last line, left by a crash, is cut off first. Threads may append.
    """

    def __init__(self, path: Path, watch: Watch) -> None:
        self._file, self._watch = path.open("ab", buffering=0), watch
        sync_folder(path.parent)  # a synced line is lost with a file that no folder has
        _cut_torn_line(path)
        self._reserve = path.with_name(RESERVE)
        _reserve_room(self._reserve)
        self._writing = threading.RLock()
        self._unsynced, self._closing = threading.Event(), threading.Event()
        self._faults_of_sync: deque[OSError] = deque(maxlen=1)
        self._syncer = threading.Thread(target=self._sync_each_second, name="journal to disk", daemon=True)
        self._syncer.start()

    def append(self, event: Event) -> None:
        """Write one line. Raises DiskFull: after it, where the reserve had to be spent, or without it.

        A line that was not written is not heard of either.
        """
        line = _EVENT.dump_json(event) + b"\n"
        with self._writing:
            full = self._faults_of_sync.pop() if self._faults_of_sync else None
            try:
                if full is not None:
                    raise full
                self._write(line)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                full = error
            if full is not None:
                self._write_into_reserve(line, full)
            self._unsynced.set()
            self._watch(event)
            if full is not None:
                raise DiskFull("no room for another line of the journal") from full

    def close(self) -> None:
        """Bring the last lines to disk and close the file."""
        self._closing.set()
        self._unsynced.set()
        self._syncer.join()
        with self._writing:
            os.fsync(self._file.fileno())
            self._file.close()
        self._reserve.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def _write_into_reserve(self, line: bytes, full: OSError) -> None:
        """Write a line where the reserve was; others may have taken that room at once."""
        try:
            self._reserve.unlink()
            self._write(line)
        except OSError:
            raise DiskFull("no room for another line of the journal") from full

    def _write(self, line: bytes) -> None:
        """Write a line whole or not at all."""
        size_bytes = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        except OSError:
            os.ftruncate(self._file.fileno(), size_bytes)
            raise

    def _sync_each_second(self) -> None:
        while not self._closing.is_set():
            self._unsynced.wait()
            self._unsynced.clear()
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self._faults_of_sync.append(error)
                self._unsynced.set()  # tried again, whether or not another line comes
            self._closing.wait(SYNC_TO_DISK_S)


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole_bytes = content.rfind(b"\n") + 1
    if whole_bytes < len(content):
        os.truncate(path, whole_bytes)


def _reserve_room(path: Path) -> None:
    if path.exists():
        return
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise DiskFull(f"{path.parent}: no room for a journal ({error.strerror}); free some space") from error


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
            if fault["loc"][-1:] == ("schema_version",):
                ours = SweepStarted.model_fields["schema_version"].default
                versions = f"a journal of version {fault['input']}, this orchestrate reads version {ours}"
                raise BadInput(f"{path}: {versions}; use the one that wrote it") from None
            where = ".".join(map(str, fault["loc"])) or "it is no event"
            line_of = f"line {number}" + (f" after byte {offset}" if offset else "")
            if fault["type"] == "union_tag_invalid":
                kind = f"is of a kind {fault['ctx']['tag'][:60]!r} that this orchestrate does not know"
                raise BadInput(f"{path}: {line_of} {kind}; a newer one wrote it: use that") from None
            raise BadInput(f"{path}: {line_of} is damaged ({where}: {fault['msg']}); put back a whole copy") from None
    return events, offset + len(whole)
