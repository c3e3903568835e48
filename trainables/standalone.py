"""A trained classifier as a folder that loads without this project. Stands alone: every such folder carries a copy.

The folder holds standalone.py (this file), architecture.py, images.py, dicom.py, config.json and weights.safetensors. A
case is a list of as many images as the model has inputs; an image is the bytes of a file (DICOM with pydicom), these as
base64 text (plain or a data: URL, never a path), a pathlib.Path, or an array (HW, or HW3 in RGB; see images.py). An
image alone is a case of one.
"""

import base64
import binascii
import hashlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

BATCH = 64
REASON_LENGTH = 200
Image = bytes | str | Path | np.ndarray
Case = Image | Sequence[Image]


class Classifier:
    """Cases of images -> class probabilities: decoded and resized exactly as in training, temperature applied.

    `model` takes an x_B1HW in [0, 1] per input and gives logits_BK; `temperature` divides these before the softmax.
    """

    def __init__(self, folder: Path) -> None:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.classes: list[str] = config["classes"]
        self.inputs: list[str] = config["inputs"]
        self.temperature: float = config["temperature"]
        self.digests: dict[str, str] = config["digests"]
        self.side_px: int = config["hyperparameters"]["image_px"]
        crops = config["hyperparameters"].get("crop_brain", False)
        self._crop_margin_px: int | None = config["hyperparameters"]["crop_margin_px"] if crops else None
        self._images = load_module(folder / "images.py")
        self._dicom = load_module(folder / "dicom.py")
        self.ct_window_hu: tuple[float, float] = tuple(config["ct_window_hu"])
        architecture = load_module(folder / "architecture.py")
        self.model: torch.nn.Module = architecture.build(config["hyperparameters"], len(self.classes), False)
        self.model.load_state_dict(load_file(folder / "weights.safetensors"))
        self.model.eval()

    def predict(self, cases: Sequence[Case]) -> tuple[np.ndarray, list[str]]:
        """Return probs_NK and, per case, in one line why it cannot be judged (its row is NaN) or an empty text."""
        reasons = [""] * len(cases)
        prepared: dict[int, list[np.ndarray]] = {}
        for row, case in enumerate(cases):
            try:
                prepared[row] = self._prepare(case)
            except ValueError as error:
                reasons[row] = str(error)
        probs_NK = np.full((len(cases), len(self.classes)), np.nan, dtype=np.float32)
        rows = list(prepared)
        for start in range(0, len(rows), BATCH):
            own = rows[start : start + BATCH]
            probs_NK[own] = self._probabilities(_stack([prepared[row] for row in own]))
        for row in prepared:
            if not np.isfinite(probs_NK[row]).all():
                reasons[row] = "the model's answer is no number"
                probs_NK[row] = np.nan
        return probs_NK, reasons

    def tensors(self, cases: Sequence[Case]) -> tuple[torch.Tensor, ...]:
        """Return x_B1HW in [0, 1] per input, as `model` takes them. Raises ValueError for no case and for a bad one."""
        prepared = []
        for row, case in enumerate(cases):
            try:
                prepared.append(self._prepare(case))
            except ValueError as error:
                raise ValueError(f"case {row}: {error}") from None
        if not prepared:
            raise ValueError("no case")
        return _stack(prepared)

    @torch.inference_mode()
    def _probabilities(self, inputs: tuple[torch.Tensor, ...]) -> np.ndarray:
        probs_BK: np.ndarray = torch.softmax(self.model(*inputs).float() / self.temperature, dim=1).numpy()
        return probs_BK

    def _prepare(self, case: Case) -> list[np.ndarray]:
        """Return one square of uint8 per input. Raises ValueError with a reason of one line, which holds no content."""
        images = list(case) if isinstance(case, list | tuple) else [case]
        if len(images) != len(self.inputs):
            raise ValueError(
                f"{len(images)} images, a case of this model is {len(self.inputs)}: {', '.join(self.inputs)}"
            )
        squares = []
        for name, image in zip(self.inputs, images, strict=True):
            try:
                squares.append(self._images.square(self._grey(image), self.side_px, self._crop_margin_px))
            except ValueError as error:
                reason = " ".join(str(error).split())[:REASON_LENGTH]
                raise ValueError(reason if len(images) == 1 else f"{name}: {reason}") from None
        return squares

    def _grey(self, image: Any) -> np.ndarray:
        grey_HW: np.ndarray
        if isinstance(image, np.ndarray):
            grey_HW = self._images.grey_from_array(image)
        elif self._dicom.is_dicom(content := _content(image)):
            grey_HW = self._dicom.grey_from_dicom(content, self.ct_window_hu)
        else:
            grey_HW = self._images.decode_grey(content)
        return grey_HW


def load_module(path: Path) -> ModuleType:
    """Import a file under a name with its digest, so that two models in one process never share code."""
    name = f"orchestrate_{path.stem}_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]  # who loads again must not get half of it
            raise
    return sys.modules[name]


def _stack(cases: list[list[np.ndarray]]) -> tuple[torch.Tensor, ...]:
    by_input = [np.stack(images_BHW) for images_BHW in zip(*cases, strict=True)]
    return tuple(torch.from_numpy(images_BHW).unsqueeze(1).float() / 255 for images_BHW in by_input)


def _content(image: Any) -> bytes:
    """Return the bytes of an image file. Raises ValueError."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str):
        return _from_base64(image)
    if isinstance(image, Path):
        try:
            return image.read_bytes()
        except OSError as error:
            raise ValueError(error.strerror or type(error).__name__) from None
    if image is None or (isinstance(image, float) and image != image):  # a table's empty cell is NaN
        raise ValueError("no image")
    kinds = "an image file as bytes, base64 text or pathlib.Path, or an array"
    raise ValueError(f"of type {type(image).__name__}; expected {kinds}")


def _from_base64(text: str) -> bytes:
    """Return what base64 text holds; a text is never taken for a path, as it may come from somebody's request."""
    if text.startswith("data:"):
        kind, _, text = text.partition(",")
        if not kind.endswith(";base64"):
            raise ValueError("a data: URL that is not base64")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("text that is not base64; a path must be a pathlib.Path") from None
