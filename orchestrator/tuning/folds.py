"""A finalist's configuration trained again with each other fold as validation, as Ray tasks on the sweep's slots."""

import shutil
from typing import Any

import ray
import torch

from orchestrator.journal import FoldEvaluated
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_state import validation_metrics
from orchestrator.tuning.trial import begin_or_begin_anew
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import TrainingFailed


def submit_fold(config: TrialConfig, setup: TrialSetup, gpu_share: float) -> "ray.ObjectRef[FoldEvaluated]":
    """Start the training of one finalist on one other fold."""
    task: Any = ray.remote(num_cpus=1, num_gpus=gpu_share)(train_fold)
    reference: ray.ObjectRef[FoldEvaluated] = task.remote(config, setup)
    return reference


def train_fold(config: TrialConfig, setup: TrialSetup) -> FoldEvaluated:
    """Return the metrics of the best epoch on `config.fold`; no metric where training broke down. Keeps no file."""
    seeded = config.model_copy(update={"seed": child_seed(config.seed, SeedPath.FOLD, config.fold)})
    best = FoldEvaluated(trial=config.trial, fold=config.fold, epoch=0, validation={})
    try:
        for record in begin_or_begin_anew(seeded, setup):
            if record.is_best:
                scores = validation_metrics(record.metrics)
                best = best.model_copy(update={"epoch": record.epoch, "validation": scores})
    except (TrainingFailed, torch.OutOfMemoryError):
        best = best.model_copy(update={"epoch": 0, "validation": {}})
    shutil.rmtree(setup.trial_folder(config.trial, config.fold), ignore_errors=True)
    return best
