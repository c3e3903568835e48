"""Write the folder that `trainables.standalone` loads; imports no torch."""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainables.catalog import BRAIN_WINDOW_HU, default_hyperparameters
from trainables.catalog import architecture as architecture_record
from trainables.model_card import model_card

FORMAT_VERSION = 2  # 1 had no inputs, temperature and digests, and gave no tensors
MODEL_CARD = "MODEL_CARD.md"
RUNTIME = ("torch", "torchvision", "timm", "safetensors", "numpy", "pandas", "pillow", "opencv-python-headless")
FOR_DICOM = ("pydicom", "python-gdcm")  # asked for only where they are installed: who trains on DICOM has them


def write_standalone(
    folder: Path,
    *,
    architecture: str,
    hyperparameters: Mapping[str, Any],
    classes: Sequence[str],
    weights: Path,
    temperature: float = 1.0,
    inputs: Sequence[str] = ("image",),
    digests: Mapping[str, str] | None = None,
    ct_window_hu: tuple[float, float] = BRAIN_WINDOW_HU,
) -> None:
    """Copy code and weights into `folder`, which must not exist.

    Hyperparameters that are not given, as by an older journal, have their published values. `inputs` names the images
    of a case in the model's order; `temperature` divides its logits; `digests` say what it was trained on (data,
    split); `ct_window_hu` is the level and width in which it sees CT in DICOM files.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(weights, folder / "weights.safetensors")
    for name, module in {
        "standalone.py": "trainables.standalone",
        "architecture.py": architecture_record(architecture).builder.partition(":")[0],
        "images.py": "trainables.data.images",
        "dicom.py": "trainables.data.dicom",
    }.items():
        spec = find_spec(module)
        assert spec is not None and spec.origin is not None
        shutil.copyfile(spec.origin, folder / name)
    config = {
        "format_version": FORMAT_VERSION,
        "architecture": architecture,
        "hyperparameters": default_hyperparameters(architecture) | dict(hyperparameters),
        "classes": list(classes),
        "inputs": list(inputs),
        "temperature": temperature,
        "ct_window_hu": list(ct_window_hu),
        "digests": dict(digests or {}),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, allow_nan=False), encoding="utf-8")
    (folder / MODEL_CARD).write_text(model_card(config), encoding="utf-8")


def runtime_requirements() -> list[str]:
    """Return what such a folder needs, in the versions that trained it."""
    return [f"{name}=={own.partition('+')[0]}" for name in (*RUNTIME, *FOR_DICOM) if (own := _version(name))]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        if name in RUNTIME:
            raise
        return ""
