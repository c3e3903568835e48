"""What the journal's events add up to: replay(events) -> SweepState, the only state there is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.journal import (
    ArchitectureChecked,
    ArchitectureGivenUp,
    EpochEnded,
    Event,
    FinalistEvaluated,
    FoldEvaluated,
    MicroBatchLimited,
    Over,
    SeedEvaluated,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    SweepTracked,
    TrialEnded,
    TrialStarted,
    TrialSuggested,
    WinnerChosen,
)
from orchestrator.journal_values import Metrics
from orchestrator.plan import SweepPlan
from orchestrator.space import Scalar
from trainables.evaluation.metrics import is_better

_Retrained = dict[int, dict[int, FoldEvaluated]] | dict[int, dict[int, SeedEvaluated]]


@dataclass
class TrialState:
    """One trial as the journal tells it."""

    number: int
    architecture: str
    hyperparameters: dict[str, Scalar]
    seed: int
    published: bool
    started_at: float
    epochs: list[EpochEnded] = field(default_factory=list)
    state: Literal["waiting", "running", "completed", "pruned", "failed", "interrupted"] = "waiting"
    reason: str = ""
    best: EpochEnded | None = None
    ended_at: float | None = None
    is_extended: bool = False  # it had trained all its epochs, and trains more

    @property
    def validation(self) -> Metrics:
        """Return the validation metrics of the best epoch, without their prefix."""
        return validation_metrics(self.best.metrics) if self.best else {}

    @property
    def last_epoch(self) -> int:
        """Return how many epochs are known."""
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def has_ended(self) -> bool:
        """Tell whether the trial came to an end of its own or of the search."""
        return self.state in ("completed", "pruned", "failed")

    @property
    def compute_s(self) -> float:
        """Return the seconds spent in epochs."""
        return sum(epoch.metrics.get("perf/epoch_s") or 0.0 for epoch in self.epochs)


@dataclass(frozen=True)
class Void:
    """What was measured of a finalist and no longer counts: its weights are others now, or it trains further."""

    event: FinalistEvaluated | FoldEvaluated | SeedEvaluated
    since: float  # seconds since 1970, those of the line that made it void


@dataclass
class SweepState:
    """A sweep as the journal tells it."""

    started: SweepStarted
    checked: dict[str, ArchitectureChecked] = field(default_factory=dict)
    trials: dict[int, TrialState] = field(default_factory=dict)
    finalists: dict[int, FinalistEvaluated] = field(default_factory=dict)
    folds: dict[int, dict[int, FoldEvaluated]] = field(default_factory=dict)  # trial -> fold
    seeds: dict[int, dict[int, SeedEvaluated]] = field(default_factory=dict)  # trial -> place of the seed
    void: dict[int, list[Void]] = field(default_factory=dict)  # trial -> in the order of the journal
    winner: int | None = None
    tracked: SweepTracked | None = None
    ended: SweepEnded | None = None
    resumed: SweepResumed | None = None  # the last time
    micro_batch_limits: dict[str, int] = field(default_factory=dict)  # architecture -> images at a time
    given_up: dict[str, str] = field(default_factory=dict)  # architecture -> reason
    spent_s: float = 0.0  # at work: not between an end or interruption and what followed
    heard_at: float = 0.0  # when the last event was, in seconds since 1970

    def __post_init__(self) -> None:
        """The first event is what it was started with."""
        self.heard_at = self.started.time

    @property
    def plan(self) -> SweepPlan:
        """Return the plan of the sweep, its budget as last raised."""
        return self.resumed.plan if self.resumed else self.started.plan

    @property
    def plan_digest(self) -> str:
        """Return the digest of that plan."""
        return self.resumed.plan_digest if self.resumed else self.started.plan_digest

    @property
    def has_completed(self) -> bool:
        """Tell whether the sweep came to its end, and was not resumed since."""
        return self.ended is not None and self.ended.state == "completed"

    @property
    def slots(self) -> int:
        """Return how many trials ran at once, the last time."""
        return self.resumed.slots if self.resumed else self.started.slots

    def retrained(self, over: Over) -> Mapping[int, Mapping[int, FoldEvaluated | SeedEvaluated]]:
        """Return trial -> place -> how a finalist's configuration did on each fold, or from each seed."""
        return self.folds if over == "fold" else self.seeds

    def apply(self, event: Event) -> None:
        """Fold one event into the state."""
        if self.ended is None and not isinstance(event, SweepResumed):
            self.spent_s += event.time - self.heard_at
        self.heard_at = event.time
        match event:
            case SweepStarted():
                self.started = event
            case SweepResumed():
                self._apply_resumption(event)
            case ArchitectureChecked():
                self.checked[event.architecture] = event
            case TrialSuggested():
                self.trials[event.trial] = TrialState(
                    event.trial, event.architecture, event.hyperparameters, event.seed, event.published, event.time
                )
            case TrialStarted():
                self._apply_start(event)
            case MicroBatchLimited():
                self.micro_batch_limits[event.architecture] = event.micro_batch_size
            case ArchitectureGivenUp():
                self.given_up[event.architecture] = event.reason
            case EpochEnded():
                self._apply_epoch(event)
            case TrialEnded():
                trial = self.trials[event.trial]
                trial.state, trial.reason, trial.ended_at = event.state, event.reason, event.time
                trial.is_extended = False
            case FinalistEvaluated():
                self.finalists[event.trial] = event
            case FoldEvaluated():
                self.folds.setdefault(event.trial, {})[event.fold] = event
            case SeedEvaluated():
                self.seeds.setdefault(event.trial, {})[event.seed_index] = event
            case WinnerChosen():
                self.winner = event.trial
            case SweepTracked():
                self.tracked = event
            case SweepEnded():
                self._apply_end(event)

    def _apply_resumption(self, event: SweepResumed) -> None:
        self.resumed, self.ended = event, None
        for number in event.extended:
            self.trials[number].is_extended = True
            self.trials[number].state = "interrupted"
            self._make_void(number, event.time, self.seeds)  # seeds decide: each trains as many epochs as the trial
        for trial in self.trials.values():
            if trial.state in ("running", "interrupted"):
                trial.state, trial.reason, trial.ended_at = "waiting", "", None

    def _apply_start(self, event: TrialStarted) -> None:
        trial = self.trials[event.trial]
        if trial.state == "waiting" and not trial.epochs:
            trial.started_at = event.time
        trial.state, trial.reason, trial.ended_at = "running", "", None

    def _apply_epoch(self, event: EpochEnded) -> None:
        trial = self.trials[event.trial]
        if event.epoch <= trial.last_epoch:  # an epoch that was redone counts once
            return
        trial.epochs.append(event)
        best = validation_metrics(trial.best.metrics) if trial.best else None
        if is_better(validation_metrics(event.metrics), best, self.plan.metric):
            trial.best = event
            if (evaluated := self.finalists.pop(trial.number, None)) is not None:  # the weights of another epoch
                self.void.setdefault(trial.number, []).append(Void(evaluated, event.time))
            self._make_void(trial.number, event.time, self.folds, self.seeds)

    def _make_void(self, number: int, since: float, *known: _Retrained) -> None:
        for retrained in known:
            gone = retrained.pop(number, {}).values()
            if gone:
                self.void.setdefault(number, []).extend(Void(event, since) for event in gone)

    def _apply_end(self, event: SweepEnded) -> None:
        self.ended = event
        for trial in self.trials.values():
            if trial.state == "running" or (trial.state == "waiting" and trial.epochs):
                trial.state, trial.reason, trial.ended_at = "interrupted", f"the sweep was {event.state}", event.time


def validation_metrics(metrics: Metrics) -> Metrics:
    """Return the validation metrics of an epoch without their prefix."""
    return {name.removeprefix("val/"): value for name, value in metrics.items() if name.startswith("val/")}


def replay(events: Iterable[Event]) -> SweepState:
    """Return the state that a sequence of events leads to.

    Raises ValueError with the line where the first is not SweepStarted, or another is, where a trial is of no
    architecture of the plan, where one is told of that none suggested, and where one skips an epoch.
    """
    state: SweepState | None = None
    for line, event in enumerate(events, start=1):
        if state is None:
            if not isinstance(event, SweepStarted):
                raise ValueError(f"line {line}: a journal begins with sweep_started, not {event.kind}")
            state = SweepState(started=event)
        else:
            try:
                _require_known(event, state)
                state.apply(event)
            except ValueError as error:
                raise ValueError(f"line {line}: {error}") from error
            except KeyError as error:
                raise ValueError(f"line {line}: {event.kind} of trial {error}, which was not suggested") from error
    if state is None:
        raise ValueError("the journal is empty")
    return state


def _require_known(event: Event, state: SweepState) -> None:
    """Raise KeyError for an event of a trial that none suggested, ValueError for what no sweep writes."""
    match event:
        case SweepStarted():
            raise ValueError("it begins a second time")
        case EpochEnded():
            _require_next(event.trial, event.epoch, state)
        case TrialStarted():
            _require_next(event.trial, event.after_epoch + 1, state)
        case TrialSuggested() if event.architecture not in state.plan.architectures:
            raise ValueError(f"trial {event.trial} is of {event.architecture}, which the plan does not have")
        case FinalistEvaluated() | FoldEvaluated() | SeedEvaluated() | WinnerChosen():
            state.trials[event.trial]
        case _:
            pass


def _require_next(number: int, epoch: int, state: SweepState) -> None:
    """Raise ValueError for an epoch after one that is not there; epochs may be trained, and told, again."""
    last = state.trials[number].last_epoch
    if epoch > last + 1:
        after = f"epoch {last}" if last else "none"
        raise ValueError(f"trial {number} goes on with epoch {epoch} after {after}: a line is missing")
