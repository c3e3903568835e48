"""A finalist's configuration trained again, on other folds or from other seeds, as Ray tasks on the sweep's slots."""

import shutil
from typing import Any

import ray
import torch

from orchestrator.journal import FoldEvaluated, SeedEvaluated
from orchestrator.journal_values import Metrics
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_state import validation_metrics
from orchestrator.tuning.hang_guard import guarded
from orchestrator.tuning.stored_trials import TrialPlace, setup_here
from orchestrator.tuning.trial import begin_or_begin_anew
from orchestrator.tuning.trial_log import MOST_TIMES_KILLED, in_log
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import TrainingFailed

Retrained = FoldEvaluated | SeedEvaluated


def submit_retraining(
    config: TrialConfig, setup: TrialSetup, cpus: int, gpu_share: float
) -> "ray.ObjectRef[Retrained]":
    """Start the training of one finalist on one other fold, or from one other seed."""
    task: Any = ray.remote(num_cpus=cpus, num_gpus=gpu_share, max_retries=MOST_TIMES_KILLED)(_train_again)
    reference: ray.ObjectRef[Retrained] = task.remote(config, setup)
    return reference


def at_place(config: TrialConfig, index: int) -> TrialConfig:
    """Return what trains a finalist on another fold, or from another seed; each training has a seed of its own."""
    path = SeedPath.FOLD if config.over == "fold" else SeedPath.SEED
    return config.model_copy(update={"index": index, "seed": child_seed(config.seed, path, index)})


def _train_again(config: TrialConfig, setup: TrialSetup) -> Retrained:
    setup = setup_here(setup)
    place = TrialPlace(setup, config)
    place.begin()
    with in_log(setup.trial_folder(config)):
        retrained = train_again(config, setup)
    place.leave()
    return retrained


def train_again(config: TrialConfig, setup: TrialSetup) -> Retrained:
    """Return the metrics of the best epoch; no metric where training broke down. Keeps no file."""
    best, place = evaluated(config, 0, {}), TrialPlace(setup, config)
    try:
        for record in guarded(begin_or_begin_anew(config, setup), setup, config.architecture):
            if record.is_best:
                best = evaluated(config, record.epoch, validation_metrics(record.metrics))
            place.keep()
    except (TrainingFailed, torch.OutOfMemoryError):
        best = evaluated(config, 0, {})
    shutil.rmtree(setup.trial_folder(config), ignore_errors=True)
    place.forget()
    return best


def evaluated(config: TrialConfig, epoch: int, validation: Metrics) -> Retrained:
    """Return what the journal keeps of a finalist on one fold, or from one seed."""
    trial, index = config.trial, config.index
    if config.over == "fold":
        return FoldEvaluated(trial=trial, fold=index, epoch=epoch, validation=validation)
    return SeedEvaluated(trial=trial, seed_index=index, seed=config.seed, epoch=epoch, validation=validation)
