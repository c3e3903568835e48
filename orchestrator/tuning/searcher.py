"""What Ray Tune tries next: trials that were interrupted, then what Optuna proposes, each with its number for good.

Ray's own OptunaSearch tells Optuna that an ASHA-stopped trial is COMPLETE with its low-budget score and drops the
report that led to the stop; this searcher asks, reports and tells by itself.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from optuna.trial import TrialState as OptunaState
from ray.tune.search import Searcher

from orchestrator.journal import ArchitectureGivenUp, EpochEnded, Event, TrialEnded, TrialSuggested
from orchestrator.open_sweep import OpenSweep
from orchestrator.plan import SweepPlan
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.space import Scalar, defaults, searched
from orchestrator.sweep_state import SweepState
from orchestrator.tuning.packing import Group, free_numbers
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.studies import Studies, Suggestion
from orchestrator.tuning.trainable import DISK_FULL, EPOCH, FAILED, STOPPED
from orchestrator.tuning.trial_setup import TrialConfig
from trainables.catalog import default_hyperparameters

DASHBOARD = "optuna.log"
OPTUNA_STATES = {
    "completed": OptunaState.COMPLETE,
    "pruned": OptunaState.PRUNED,
    "failed": OptunaState.FAIL,
}
ALIKE = 3  # first trials of an architecture that fail in the same words end it


class OptunaSearcher(Searcher):
    """Suggests as many trials at once as `limit` says, which is asked anew each time so that joining nodes are used.

    A trial's number is its identity: sampler and training seeds derive from it. `going_on` are trials of the journal
    that train further; they come first. One whose process died is undecided until `go_on` or `give_up` is called. Of
    both only those of `group` are suggested, where there is one.
    """

    def __init__(
        self,
        sweep: OpenSweep,
        setup: Path | str,
        going_on: Sequence[int],
        stopping: Stopping,
        limit: Callable[[], int],
        group: Group | None = None,
    ) -> None:
        plan = sweep.state.plan
        super().__init__(metric=f"val/{plan.metric}", mode=plan.direction)
        self._metric_name = f"val/{plan.metric}"
        self._sweep, self._setup, self._stopping, self._limit = sweep, setup, stopping, limit
        self._studies = Studies(plan, sweep.folder / DASHBOARD)
        replay_into(self._studies, sweep.past, plan, set(going_on))
        self._group = group or Group(tuple(plan.architectures))
        own = self._group.architectures
        self._going_on = deque(number for number in going_on if sweep.state.trials[number].architecture in own)
        self._numbers: dict[str, int] = {}  # Ray's id -> trial
        self._free = free_numbers(sweep.state, self._group)
        self._next = next(self._free, None)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is text
        """Return the next configuration, None while every slot is taken, FINISHED when the budget is spent."""
        if self._stopping.requested or self._stopping.out_of_time:
            return str(Searcher.FINISHED)
        if len(self._numbers) >= self._limit():
            return None
        if not self._going_on and not self._suggest_new():
            return None if self._numbers else str(Searcher.FINISHED)  # one that runs may have to be suggested again
        trial = self._sweep.state.trials[self._going_on.popleft()]
        self._numbers[trial_id] = trial.number
        config = TrialConfig.of(trial, self._setup).model_copy(update={"known_epochs": trial.last_epoch})
        return config.model_dump(mode="json")

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Report one epoch to Optuna."""
        if EPOCH in result:
            self._studies.report(self._numbers[trial_id], result[EPOCH], result.get(self._metric_name))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell Optuna how the trial ended; the result that led to a stop comes only here, so it is reported first."""
        number = self._numbers.get(trial_id)
        if number is None:
            return
        if result is not None:
            self.on_trial_result(trial_id, result)
        del self._numbers[trial_id]
        last = result or {}
        own_end = last.get(FAILED) or last.get(STOPPED) or last.get(EPOCH, 0) >= self._sweep.state.plan.budget.epochs
        if error or last.get(DISK_FULL) or (self._stopping.requested and not own_end):
            return  # it goes on when the sweep is resumed, or `give_up` follows
        if last.get(FAILED):
            self._studies.tell(number, OptunaState.FAIL)
        elif last.get(STOPPED) or last.get(EPOCH, 0) >= self._sweep.state.plan.budget.epochs:
            self._studies.tell(number, OptunaState.COMPLETE)
        else:
            self._studies.tell(number, OptunaState.PRUNED)

    def go_on(self, number: int) -> None:
        """Suggest a trial again whose process was killed: it goes on from its last state."""
        self._going_on.append(number)

    def give_up(self, number: int) -> None:
        """Tell Optuna that a trial whose process died has failed."""
        self._studies.tell(number, OptunaState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal holds everything that a searcher could be rebuilt from."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as nothing is saved."""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}

    def _suggest_new(self) -> bool:
        """Ask for one more trial and write it down; return False where the budget or the space is spent."""
        state = self._sweep.state
        plan = state.plan
        if self._next is None:
            return False
        self._give_up_what_fails_alike(state)
        number = self._next
        left = [name for name in self._group.architectures if name not in state.given_up]
        suggestion = self._studies.ask(number, left)
        if suggestion is None:
            return False
        self._next = next(self._free, None)
        self._sweep.append(
            TrialSuggested(
                trial=number,
                architecture=suggestion.architecture,
                hyperparameters=self._whole(suggestion, state),
                seed=child_seed(plan.seed, SeedPath.TRIAL, number),
                published=self._is_published(number, suggestion, plan),
            )
        )
        self._going_on.append(number)
        return True

    def _is_published(self, number: int, suggestion: Suggestion, plan: SweepPlan) -> bool:
        """Tell whether a trial repeats what was published; with `fixed` an architecture's first need not."""
        own = plan.published[suggestion.architecture]
        is_first = number < len(plan.architectures)
        return own and is_first and suggestion.chosen == defaults(plan.architectures[suggestion.architecture])

    def _whole(self, suggestion: Suggestion, state: SweepState) -> dict[str, Scalar]:
        """Return every hyperparameter; no more images at a time than the architecture was found to have room for."""
        whole = {**default_hyperparameters(suggestion.architecture), **suggestion.chosen}
        limit = state.micro_batch_limits.get(suggestion.architecture)
        needs_whole = whole["imbalance"] == "hem" and whole["hem_mode"] == "reuse_loss"
        bound = needs_whole or "micro_batch_size" in suggestion.chosen
        if limit is not None and (whole["micro_batch_size"] or whole["batch_size"]) > limit and not bound:
            whole["micro_batch_size"] = limit
        return whole

    def _give_up_what_fails_alike(self, state: SweepState) -> None:
        for architecture in state.plan.architectures:
            reason = failed_alike(state, architecture)
            if reason and architecture not in state.given_up:
                self._sweep.append(ArchitectureGivenUp(architecture=architecture, reason=reason))


def failed_alike(state: SweepState, architecture: str) -> str:
    """Return the reason for which the first trials of an architecture all failed; empty where they did not."""
    own = (trial for trial in state.trials.values() if trial.architecture == architecture)
    first = list(islice(own, ALIKE))
    if len(first) < ALIKE or any(trial.state != "failed" for trial in first):
        return ""
    words = {re.sub(r"[\d.e+-]+", "#", trial.reason) for trial in first}
    return f"its first {ALIKE} trials failed alike: {first[0].reason}" if len(words) == 1 else ""


def replay_into(studies: Studies, events: Iterable[Event], plan: SweepPlan, going_on: set[int]) -> None:
    """Take in what the journal says was suggested, reported and told, in its order; trials that go on stay open.

    One that trained on when the epochs were raised is told once, as it ended last.
    """
    metric, events = f"val/{plan.metric}", list(events)
    last_ends = {event.trial: event for event in events if isinstance(event, TrialEnded)}
    for event in events:
        match event:
            case TrialSuggested():
                chosen = searched(plan.architectures[event.architecture], event.hyperparameters)
                studies.suggested_before(event.trial, Suggestion(event.architecture, chosen))
            case EpochEnded():
                studies.report(event.trial, event.epoch, event.metrics.get(metric))
            case TrialEnded() if event is last_ends[event.trial] and event.trial not in going_on:
                studies.tell(event.trial, OPTUNA_STATES[event.state])
            case _:
                pass
