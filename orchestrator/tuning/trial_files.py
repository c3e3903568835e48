"""The files of trials on disk: what cannot matter any more goes at once, and all of it stays within a limit."""

from contextlib import suppress
from functools import partial
from pathlib import Path

from orchestrator.object_store import StoreFault
from orchestrator.ranking import best_trials
from orchestrator.stored_sweep import StoredSweep
from orchestrator.sweep_state import SweepState, TrialState
from orchestrator.tuning.stored_trials import is_doomed, is_reported, stored_trial
from orchestrator.tuning.trial_setup import trial_folder
from trainables.evaluation.trial_files import BEST_WEIGHTS, EPOCH_WEIGHTS
from trainables.training.checkpoint import state_files


class TrialFiles:
    """Weights and states of a sweep's trials.

    Of trials that ended, the best ones' weights are kept, as many as there are finalists; of those that trained to
    their end the states too, from which they can go on. What goes goes from the sweep's object store too.
    """

    def __init__(
        self, trials: Path, state: SweepState, max_bytes: int | None = None, stored: StoredSweep | None = None
    ) -> None:
        self._trials = trials
        self._state = state
        self._max_bytes = max_bytes
        self._stored = stored
        self._forgotten: set[tuple[int, bool, bool]] = set()
        self._kept: dict[int, TrialState] = {}
        self._ended_bytes: dict[int, int] = {}  # of trials that ended: only what is removed here changes it
        for trial in state.trials.values():
            if trial.has_ended:
                self._settle(trial.number)
                if not self.folder(trial.number).exists():  # another machine ran the sweep
                    self.bring(trial.number)
        self._keep_within_limit()

    def folder(self, number: int) -> Path:
        """Return the folder of one trial."""
        return trial_folder(self._trials, number)

    def bring(self, number: int) -> None:
        """Fetch what reports read of a trial that ends, wherever it was trained; not while the store is away."""
        if self._stored is not None and not self._stored.is_away:
            with suppress(StoreFault):
                stored_trial(self._stored.store.uri, self._trials, self.folder(number)).fetch(is_reported)

    def trial_ended(self, number: int) -> None:
        """Remove what the end of a trial makes useless: its own files, or those of one that it beats."""
        self._settle(number)
        self._keep_within_limit()

    def _settle(self, number: int) -> None:
        plan = self._state.plan
        candidates = {**self._kept, number: self._state.trials[number]}
        ended = [trial for trial in candidates.values() if trial.has_ended]
        best = best_trials(ended, plan.metric, plan.budget.finalists)
        self._kept = {trial.number: trial for trial in [*best, *(t for t in candidates.values() if not t.has_ended)]}
        for trial in ended:
            kept = trial.number in self._kept
            self._remove(trial.number, weights=not kept, states=not kept or trial.state != "completed")

    def over_limit(self) -> bool:
        """Tell whether the trials take more than their limit, though all that can go has gone."""
        return self._max_bytes is not None and self._size_bytes() > self._max_bytes

    def _keep_within_limit(self) -> None:
        """Give up states that only more epochs would need, the worst trial's first."""
        if not self.over_limit():
            return
        ended = [trial for trial in self._kept.values() if trial.has_ended]
        for trial in reversed(best_trials(ended, self._state.plan.metric, len(ended))):
            self._remove(trial.number, weights=False, states=True)
            if not self.over_limit():
                return

    def _remove(self, number: int, *, weights: bool, states: bool) -> None:
        folder = self.folder(number)
        doomed = state_files(folder) if states else []
        if weights:
            doomed += [folder / BEST_WEIGHTS, *folder.glob(f"{EPOCH_WEIGHTS}*.safetensors")]
        for path in doomed:
            path.unlink(missing_ok=True)
            self._ended_bytes.pop(number, None)
        if self._stored is not None and (weights or states) and (number, weights, states) not in self._forgotten:
            self._forgotten.add((number, weights, states))
            copy = stored_trial(self._stored.store.uri, self._trials, folder)
            self._stored.later(partial(copy.forget, is_doomed(weights, states)))

    def _size_bytes(self) -> int:
        running_bytes = 0
        for number in self._state.trials.keys() - self._ended_bytes.keys():
            size_bytes = _size_of(self.folder(number))
            if self._state.trials[number].has_ended:
                self._ended_bytes[number] = size_bytes
            else:
                running_bytes += size_bytes
        return running_bytes + sum(self._ended_bytes.values())


def _size_of(folder: Path) -> int:
    size_bytes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # trials replace their states meanwhile
            size_bytes += path.stat().st_size if path.is_file() else 0
    return size_bytes
