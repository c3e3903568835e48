"""Ray Tune's events -> journal lines."""

import re
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from orchestrator.journal import EpochEnded, JournalWriter, TrialEnded, TrialStarted
from orchestrator.tuning.trainable import EPOCH, FAILED, STOPPED
from orchestrator.tuning.trial_setup import TrialConfig

_FOLDERS = re.compile(r"/(?:[^\s/'\":]+/)+")  # a reason reaches MLflow, where no path of the user belongs
METRIC_SECTIONS = ("train/", "val/", "perf/")


class JournalRecorder(Callback):
    """Write what happens to each trial, in the order in which it happens."""

    def __init__(self, journal: JournalWriter, epochs: int, stop_reasons: dict[str, str]) -> None:
        self._journal = journal
        self._epochs = epochs
        self._stop_reasons = stop_reasons
        self._started: set[int] = set()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a trial got an actor."""
        config = TrialConfig.model_validate(trial.config)
        self._started.add(config.trial)
        self._journal.append(
            TrialStarted(
                trial=config.trial,
                architecture=config.architecture,
                hyperparameters=config.hyperparameters,
                seed=config.seed,
                published=config.published,
            )
        )

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record one epoch."""
        if EPOCH in result:
            metrics = {name: value for name, value in result.items() if name.startswith(METRIC_SECTIONS)}
            self._journal.append(EpochEnded(trial=trial.config["trial"], epoch=result[EPOCH], metrics=metrics))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record how a trial ended."""
        number, last = trial.config["trial"], trial.last_result
        if last.get(FAILED):
            self._journal.append(TrialEnded(trial=number, state="failed", reason=last[FAILED]))
        elif trial.trial_id in self._stop_reasons:
            reason = self._stop_reasons[trial.trial_id]
            self._journal.append(TrialEnded(trial=number, state="pruned", reason=reason))
        else:
            reason = last.get(STOPPED) or f"all {self._epochs} epochs trained"
            self._journal.append(TrialEnded(trial=number, state="completed", reason=reason))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that a trial's process died, with the last line of what Ray knows."""
        if trial.config["trial"] not in self._started:  # its actor failed before it could begin
            self.on_trial_start(iteration, trials, trial)
        # not trial.get_error(): that reads the copy in storage, which is written later
        file = Path(trial.error_file) if trial.error_file else None
        text = file.read_text(encoding="utf-8", errors="replace") if file and file.is_file() else ""
        lines = [line for line in text.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else "the process died without a message"
        self._journal.append(
            TrialEnded(trial=trial.config["trial"], state="failed", reason=_FOLDERS.sub("", reason)[:500])
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle nothing: Ray pickles the whole Tuner once, and never reads it back here."""
        return {}
