"""A trial as Ray Tune runs it: one step is one epoch; warm actors go from trial to trial."""

import json
import os
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ray import tune

from orchestrator.tuning.code_digest import code_digest
from orchestrator.tuning.faults import reason_of
from orchestrator.tuning.hang_guard import ended_if_hanging, epoch_limit_s
from orchestrator.tuning.stored_trials import TrialPlace, setup_of
from orchestrator.tuning.trial import begin_or_begin_anew
from orchestrator.tuning.trial_log import WITNESS, speak_into
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.data.views import View
from trainables.errors import TrainingFailed
from trainables.training.disk import WRITING_FAULTS, is_disk_full
from trainables.training.run import EpochRecord

EPOCH = "epoch"
FAILED = "failed"
STOPPED = "stopped"  # why training ended before its last epoch
DISK_FULL = "disk_full"
UNFIT = "UnfitNodeError"


class UnfitNodeError(Exception):
    """A node that joined later must not train: what is wrong with it, and the way out."""


def fit_setup(config: TrialConfig) -> TrialSetup:
    """Return what trials share. Raises UnfitNodeError where this node lacks it, or runs other code than the driver."""
    host = socket.gethostname()
    try:
        setup = setup_of(config)
    except FileNotFoundError as error:
        way_out = "let it have the storage at that path, or take it out, and resume"
        raise UnfitNodeError(f"{host}: {Path(config.setup).name} is not there; {way_out}") from error
    if setup.code_digest and setup.code_digest != code_digest():
        raise UnfitNodeError(
            f"{host}: runs another version of this project; install the same, or take it out, and resume"
        )
    return setup


def _free_gpu() -> None:
    """Give back what the last trial held; where that broke the GPU's context, go: the next gets another process."""
    try:
        torch.cuda.empty_cache()
    except RuntimeError:
        traceback.print_exc()
        os._exit(1)


class TrialActor(tune.Trainable):
    """Train the trial of the current config; nothing of the previous one is left after `reset_config`."""

    _place: TrialPlace | None = None

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial of this actor."""
        self._begin(TrialConfig.model_validate(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        self._begin(TrialConfig.model_validate(new_config))
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it; a trial whose numbers broke down ends with the reason as its result."""
        result = self._train_epoch()
        assert self._place is not None
        self._place.keep(is_last=bool(result["done"]))
        return result

    def cleanup(self) -> None:
        """Leave the last trial."""
        if self._place is not None:
            self._place.leave()

    def _train_epoch(self) -> dict[str, Any]:
        try:
            with ended_if_hanging(self._timeout_s()):  # Tune has no limit
                record = next(self._epochs, None)
        except (TrainingFailed, torch.OutOfMemoryError) as error:
            traceback.print_exc()  # into the trial's log
            return {FAILED: reason_of(error), "done": True}
        except WRITING_FAULTS as error:
            if not is_disk_full(error, self._folder):
                traceback.print_exc()
                raise
            for part in self._folder.glob("*.part"):
                part.unlink()
            return {DISK_FULL: "a trial found no room for its weights", "done": True}
        except Exception:
            traceback.print_exc()
            raise
        if record is None:
            return {STOPPED: "it had ended before", "done": True}
        self._epoch_s.append(record.metrics["perf/epoch_s"] or 0.0)  # one told from a state takes no time now
        if self._setup.witness:
            self._bear_witness(record)
        done = record.epoch >= self._setup.epochs or bool(record.stop_reason)
        return {EPOCH: record.epoch, **record.metrics, STOPPED: record.stop_reason, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: the training loop keeps states and the best weights itself."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Do nothing, as there is nothing to load."""

    def _begin(self, config: TrialConfig) -> None:
        self._epochs: Iterator[EpochRecord] = iter(())  # the model and images of the last trial go
        self.cleanup()
        self._config, self._setup = config, fit_setup(config)
        self._epoch_s: list[float] = []
        self._folder = self._setup.trial_folder(config)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._place = TrialPlace(self._setup, config)
        self._place.begin()
        speak_into(self._folder)
        if self._setup.device == "cuda":
            _free_gpu()
        self._setup.images(View.of(config.hyperparameters).name)  # fetched here, where no guard against hangs runs
        self._epochs = begin_or_begin_anew(config, self._setup)

    def _timeout_s(self) -> float:
        return epoch_limit_s(self._setup, self._config.architecture, self._epoch_s)

    def _bear_witness(self, record: EpochRecord) -> None:
        """Write down what was trained, apart from driver and store."""
        line = {"trial": self._config.trial, "epoch": record.epoch, "metrics": record.metrics, "pid": os.getpid()}
        with (self._folder / WITNESS).open("a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
