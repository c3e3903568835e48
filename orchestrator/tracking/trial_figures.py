"""Figures of a trial, drawn when it has ended: its training curves, and the confusion matrix of its best epoch."""

import tempfile
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from mlflow import MlflowClient

from orchestrator.sweep_state import SweepState, TrialState
from orchestrator.tracking.image_grid import show_in_grid
from trainables.evaluation.figures import draw_confusion_matrix, draw_training_curves
from trainables.evaluation.metrics import confusion_matrix
from trainables.evaluation.trial_files import BEST_VALIDATION


def send_figures(client: MlflowClient, run_id: str, sweep: Path, state: SweepState, trial: TrialState) -> None:
    """Draw a trial's figures and send them to its run."""
    title = f"{state.plan.task}, trial {trial.number} ({trial.architecture})"
    with tempfile.TemporaryDirectory() as folder:
        if (best := _best_validation(sweep, trial)) is not None:
            epoch, counts_KK = best
            path, about = Path(folder, "confusion_matrix_validation.png"), f"{title}, validation, epoch {epoch}"
            draw_confusion_matrix(path, counts_KK, state.plan.classes, about)
        if trial.epochs:
            history = [{"epoch": ended.epoch, **ended.metrics} for ended in trial.epochs]
            draw_training_curves(Path(folder, "training_curves.png"), history, state.plan.metric, title)
        client.log_artifacts(run_id, folder, "figures")
        if trial.epochs:
            show_in_grid(client, run_id, Path(folder), int(trial.epochs[-1].time * 1000))


def _best_validation(sweep: Path, trial: TrialState) -> tuple[int, np.ndarray] | None:
    """Return the best epoch and its confusion matrix; None where it left no file, or a damaged one."""
    path = sweep / "trials" / f"{trial.number:04d}" / BEST_VALIDATION
    try:
        with np.load(path, allow_pickle=False) as saved:
            return int(saved["epoch"]), confusion_matrix(saved["probs_NK"], saved["labels_N"])
    except (FileNotFoundError, BadZipFile, ValueError, KeyError, EOFError):
        return None
