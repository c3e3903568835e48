"""A trial as Ray Tune runs it: one step is one epoch; warm actors go from trial to trial."""

from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from orchestrator.tuning.trial import begin_training
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import TrainingFailed
from trainables.training.run import EpochRecord

EPOCH = "epoch"
FAILED = "failed"
STOPPED = "stopped"  # why training ended before its last epoch


class TrialActor(tune.Trainable):
    """Train the trial of the current config; nothing of the previous one is left after `reset_config`."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this actor."""
        self._begin(TrialConfig.model_validate(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        self._begin(TrialConfig.model_validate(new_config))
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it; a trial whose numbers broke down ends with the reason as its result."""
        try:
            record = next(self._epochs)
        except (TrainingFailed, torch.OutOfMemoryError) as error:
            return {FAILED: " ".join(str(error).split())[:500], "done": True}
        done = record.epoch >= self._epochs_at_most or bool(record.stop_reason)
        return {EPOCH: record.epoch, **record.metrics, STOPPED: record.stop_reason, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: the training loop keeps the best weights itself."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Do nothing, as there is nothing to load."""

    def _begin(self, config: TrialConfig) -> None:
        setup = TrialSetup.model_validate_json(config.setup.read_text())
        self._epochs: Iterator[EpochRecord] = iter(())  # the model and images of the last trial go
        if setup.device == "cuda":
            torch.cuda.empty_cache()
        self._epochs_at_most = setup.epochs
        self._epochs = begin_training(config, setup)
