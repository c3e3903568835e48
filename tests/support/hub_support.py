"""A hub of pretrained weights without a network: random weights in files, which timm loads as it would load its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import timm
import torch
from safetensors.torch import load_file, save_file


class StubHub:
    """Weights of three channels and a thousand classes, made on first demand; `asked` says who came for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._create = timm.create_model
        self.asked: list[str] = []

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """Return a model's published weights."""
        return load_file(self._file(name))

    def create_model(self, name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        """Stand in for timm.create_model."""
        if not pretrained:
            return self._create(name, **options)
        model = self._create(name, pretrained=True, pretrained_cfg_overlay={"file": str(self._file(name))}, **options)
        self.asked.append(name)
        return model

    def _file(self, name: str) -> Path:
        path = self._folder / f"{name}.safetensors"
        if not path.exists():
            state = self._create(name).state_dict()
            learned = {key: value for key, value in state.items() if value.is_floating_point()}
            save_file(state | {key: torch.randn_like(value).abs() * 0.1 for key, value in learned.items()}, path)
        return path


@contextmanager
def stub_hub(folder: Path) -> Iterator[StubHub]:
    """Let timm load from a stub for as long as the context is open."""
    torch.manual_seed(7)
    hub = StubHub(folder)
    with patch("timm.create_model", hub.create_model):
        yield hub
