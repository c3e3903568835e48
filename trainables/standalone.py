"""A trained classifier as a folder that loads without this project. Stands alone: every such folder carries a copy.

The folder holds standalone.py (this file), architecture.py, images.py, config.json and weights.safetensors.
"""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors.torch import load_file

BATCH = 64


class Classifier:
    """Image bytes -> class probabilities, decoded and resized exactly as in training."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.classes: list[str] = config["classes"]
        self._side_px: int = config["hyperparameters"]["image_px"]
        self._images = _load_module(folder / "images.py")
        architecture = _load_module(folder / "architecture.py")
        self._model = architecture.build(config["hyperparameters"], len(self.classes), False)
        self._model.load_state_dict(load_file(folder / "weights.safetensors"))
        self._model.eval()

    def predict(self, contents: Sequence[bytes]) -> tuple[np.ndarray, list[str]]:
        """Return probs_NK and, per image, why it could not be read (its row is NaN) or an empty text."""
        reasons = [""] * len(contents)
        images_HW: dict[int, np.ndarray] = {}
        for row, content in enumerate(contents):
            try:
                images_HW[row] = self._images.resize_square(self._images.decode_grey(content), self._side_px)
            except ValueError as error:
                reasons[row] = str(error)
        probs_NK = np.full((len(contents), len(self.classes)), np.nan, dtype=np.float32)
        rows = list(images_HW)
        for start in range(0, len(rows), BATCH):
            own = rows[start : start + BATCH]
            probs_NK[own] = self._probabilities(np.stack([images_HW[row] for row in own]))
        return probs_NK, reasons

    @torch.inference_mode()
    def _probabilities(self, images_BHW: np.ndarray) -> np.ndarray:
        x_B1HW = torch.from_numpy(images_BHW).unsqueeze(1).float() / 255
        probs_BK: np.ndarray = torch.softmax(self._model(x_B1HW).float(), dim=1).numpy()
        return probs_BK


def _load_module(path: Path) -> ModuleType:
    """Import a file under a name with its digest, so that two models in one process never share code."""
    name = f"orchestrate_{path.stem}_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
