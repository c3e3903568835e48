"""Classifiers as folders: tiny networks of one or two images, and a winner that was registered without training."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image
from sweep_support import make_plan, started, suggested

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, FinalistEvaluated, Registered, TrialEnded, TrialStarted, WinnerChosen
from orchestrator.promotion.policy import DEFAULT_POLICY
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.registry import register_winner
from orchestrator.tracking.store import ensure_experiment, open_store
from trainables.catalog import ARCHITECTURES, default_hyperparameters
from trainables.configs.baseline_cnn import BaselineCNNConfig
from trainables.configs.record import Architecture
from trainables.evaluation.trial_files import BEST_WEIGHTS
from trainables.models import build_model, save_weights
from trainables.packaging import write_standalone

SIDE_PX = 8
TEMPERATURE = 1.7
TWO_IMAGES = """
import torch
from torch import nn


class BrighterOfTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, ct_B1HW, mr_B1HW):
        return SIGN * self.scale * torch.stack([ct_B1HW.mean(dim=(1, 2, 3)), mr_B1HW.mean(dim=(1, 2, 3))], dim=1)


def build(hyperparameters, num_classes, pretrained):
    return BrighterOfTwo()
"""


def noise(seed: int = 0, side_px: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side_px, side_px), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write_two_images(folder: Path, monkeypatch: pytest.MonkeyPatch, *, sign: int = 1, scale: float = 4.0) -> Path:
    """Write a classifier of a CT and an MR image by an architecture whose code stands in a file that may change."""
    code = folder.parent / "code" / "brighter_of_two.py"
    code.parent.mkdir(exist_ok=True)
    code.write_text(TWO_IMAGES.replace("SIGN", str(sign)))
    monkeypatch.syspath_prepend(code.parent)
    record = Architecture(
        "toy", BaselineCNNConfig, "brighter_of_two:build", (), None, "a test", {}, image_names=("CT", "MRI")
    )
    monkeypatch.setitem(ARCHITECTURES, "toy", record)
    weights = torch.nn.Module()
    weights.scale = torch.nn.Parameter(torch.tensor(scale))
    save_weights(weights, folder.parent / "toy.safetensors")
    write_standalone(
        folder,
        architecture="toy",
        hyperparameters={"image_px": SIDE_PX},
        classes=("ct", "mr"),
        weights=folder.parent / "toy.safetensors",
        inputs=("ct", "mr"),
    )
    return folder


def write_smoke(folder: Path, name: str, temperature: float = TEMPERATURE) -> Path:
    """Write an untrained classifier of normal and stroke at its architecture's smoke configuration."""
    hyperparameters = default_hyperparameters(name) | dict(ARCHITECTURES[name].smoke)
    torch.manual_seed(0)
    weights = folder.parent / f"{name}.safetensors"
    save_weights(build_model(name, hyperparameters, 2), weights)
    write_standalone(
        folder,
        architecture=name,
        hyperparameters=hyperparameters,
        classes=("normal", "stroke"),
        weights=weights,
        temperature=temperature,
        digests={"data": "d1", "split": "s1"},
    )
    return folder


def winner(sweep_id: str = "s") -> SweepState:
    """Return a sweep whose only trial, of a small resnet_vit, has won."""
    hyperparameters = default_hyperparameters("resnet_vit") | dict(ARCHITECTURES["resnet_vit"].smoke)
    scores = {"auroc": 0.8}
    return replay(
        [
            started(make_plan(), sweep_id),
            suggested(0, **hyperparameters),
            TrialStarted(trial=0),
            EpochEnded(trial=0, epoch=1, metrics={"val/auroc": 0.8}),
            TrialEnded(trial=0, state="completed", reason="all 1 epochs trained"),
            FinalistEvaluated(trial=0, validation=scores, test=scores, further={"temperature": TEMPERATURE}),
            WinnerChosen(trial=0),
        ]
    )


def register(home: Home, folder: Path, sweep_id: str = "s", seed: int = 0) -> tuple[MlflowClient, Registered]:
    """Register such a winner, its weights at random, as the next version of `stroke`, and make it champion."""
    state = winner(sweep_id)
    trained = folder / "sweep" / "trials" / "0000"
    trained.mkdir(parents=True)
    torch.manual_seed(seed)
    save_weights(build_model("resnet_vit", state.trials[0].hyperparameters, 2), trained / BEST_WEIGHTS)
    client = open_store(home, None)
    experiment_id = ensure_experiment(client, "stroke", home)
    run_id = client.create_run(experiment_id).info.run_id
    registered = register_winner(client, state, folder / "sweep", experiment_id, run_id, DEFAULT_POLICY)
    client.set_registered_model_alias("stroke", "champion", registered.version)
    return client, registered
