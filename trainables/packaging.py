"""Write the folder that `trainables.standalone` loads; imports no torch."""

import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainables.catalog import architecture as architecture_record

RUNTIME = ("torch", "torchvision", "timm", "safetensors", "numpy", "pandas", "pillow", "opencv-python-headless")


def write_standalone(
    folder: Path, *, architecture: str, hyperparameters: Mapping[str, Any], classes: Sequence[str], weights: Path
) -> None:
    """Copy code and weights into `folder`, which must not exist."""
    folder.mkdir(parents=True)
    shutil.copyfile(weights, folder / "weights.safetensors")
    for name, module in {
        "standalone.py": "trainables.standalone",
        "architecture.py": architecture_record(architecture).builder.partition(":")[0],
        "images.py": "trainables.data.images",
    }.items():
        spec = importlib.util.find_spec(module)
        assert spec is not None and spec.origin is not None
        shutil.copyfile(spec.origin, folder / name)
    config = {"architecture": architecture, "hyperparameters": dict(hyperparameters), "classes": list(classes)}
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def runtime_requirements() -> list[str]:
    """Return what such a folder needs, in the versions that trained it."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in RUNTIME]
