"""One generator trains every architecture: `for epoch in train(run, data)`. Who logs or stops is not known here."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from trainables.errors import OutOfMemory, TrainingFailed, WeightsError, first_line
from trainables.evaluation.metrics import classification_metrics, is_better
from trainables.evaluation.temperature import probabilities
from trainables.evaluation.trial_files import BEST_VALIDATION, BEST_WEIGHTS, epoch_weights
from trainables.models import count_parameters, save_weights
from trainables.training.checkpoint import Checkpoint
from trainables.training.development import DevelopmentData
from trainables.training.learner import BatchWatch, Learner
from trainables.training.run import EpochRecord, TrainingRun, epochs_of
from trainables.training.usage import Usage


def train(run: TrainingRun, data: DevelopmentData, watch: BatchWatch | None = None) -> Iterator[EpochRecord]:
    """Train for run.epochs epochs at most, validating after each; keeps the weights of the best validation epoch.

    A run that goes on from a state first yields what the state holds beyond `run.known_epochs`. Raises TrainingFailed
    when a loss or prediction is no longer finite, OutOfMemory, WeightsError for weights that do not fit, DataError for
    a state of another run or a damaged one: before anything is yielded.
    """
    with _told("building"):
        learner = Learner(run, data)
        trainable, total = count_parameters(learner.model)
    sizes = {"perf/trainable_parameters": float(trainable), "perf/parameters": float(total)}
    checkpoint = Checkpoint(run)
    progress = checkpoint.load(learner)
    yield from (record for record in progress.records if record.epoch > run.known_epochs)
    labels_N = data.labels_N.cpu().numpy()[data.validation_rows]
    while progress.epoch < run.epochs and not _stop_reason(run, progress.epoch, progress.best_epoch):
        epoch = progress.epoch + 1
        started_s, usage = time.perf_counter(), Usage(run.device)
        with _told(f"epoch {epoch}"):
            loss, accuracy = learner.train_epoch(epoch, _heard_too(usage, watch))
            trained_s = time.perf_counter() - started_s
            if not np.isfinite(loss):
                raise TrainingFailed(f"epoch {epoch}: training loss is {loss}; {_likely_cause(run)}")
            probs_NK = probabilities(learner.validate())
        if not np.isfinite(probs_NK).all():
            raise TrainingFailed(f"epoch {epoch}: validation predictions are not finite; {_likely_cause(run)}")
        scores = classification_metrics(probs_NK, labels_N, run.severity_K)
        is_best = is_better(scores, progress.best, run.metric)
        if is_best:
            save_weights(learner.kept, run.folder / BEST_WEIGHTS)
            _save_predictions(run.folder / BEST_VALIDATION, probs_NK, labels_N, epoch)
        if run.keep_every_epochs and epoch % run.keep_every_epochs == 0:
            save_weights(learner.kept, run.folder / epoch_weights(epoch))
        learner.rates.end_epoch(is_best)
        measured: dict[str, float | None] = {
            "train/loss": loss,
            "train/accuracy": accuracy,
            **{f"val/{name}": value for name, value in scores.items()},
            "perf/epoch_s": time.perf_counter() - started_s,
            "perf/images_per_s": learner.shown / trained_s,
            **usage.measured(),
            **(sizes if epoch == 1 else {}),
        }
        stop_reason = _stop_reason(run, epoch, epoch if is_best else progress.best_epoch)
        record = EpochRecord(epoch, measured, is_best, stop_reason)
        progress = progress.after(record, scores)
        is_last = progress.epoch == run.epochs or bool(stop_reason)
        # a GPU does not repeat an epoch to the bit, so there the state goes with the weights that it calls the best
        checkpoint.save(learner, progress, is_due=is_last or (is_best and run.device == "cuda"))
        yield record


def _heard_too(usage: Usage, watch: BatchWatch | None) -> BatchWatch:
    def hear(batch: int, of: int) -> None:
        usage.sample()
        if watch:
            watch(batch, of)

    return hear


def _save_predictions(path: Path, probs_NK: np.ndarray, labels_N: np.ndarray, epoch: int) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, probs_NK=probs_NK, labels_N=labels_N, epoch=epoch)
    part.replace(path)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Raise TrainingFailed in one line for what a model can do wrong, e.g. batch norm over a single value."""
    try:
        yield
    except (TrainingFailed, WeightsError):
        raise
    except torch.OutOfMemoryError as error:
        way_out = "lower batch_size, or set micro_batch_size, which keeps the effective batch"
        raise OutOfMemory(f"{where}: out of memory; {way_out}") from error
    except (ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise TrainingFailed(f"{where}: {reason}") from error


def _stop_reason(run: TrainingRun, epoch: int, best_epoch: int) -> str:
    patience = run.hyperparameters["early_stop_patience"]
    waited = epoch - best_epoch
    if epoch == epochs_of(run) < run.epochs:
        return f"all of its own {epoch} epochs trained"
    if patience and waited >= patience and epoch < run.epochs:
        return f"no better val/{run.metric} for {waited} epochs after epoch {best_epoch}"
    return ""


def _likely_cause(run: TrainingRun) -> str:
    by: Mapping[str, object] = run.hyperparameters
    clipped = "" if by["grad_clip"] else ", or set grad_clip"
    return f"lr={by['lr']:g} with {by['optimizer']} is probably too high: lower it{clipped}"
