"""What the application must open to know: data, hardware, weights, one batch per architecture. Imports torch late."""

import math
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import ArchitectureChecked
from orchestrator.space import Choice, Parameter, Scalar, Space, defaults
from trainables.catalog import ARCHITECTURES, Task, default_hyperparameters
from trainables.errors import DataError, WeightsError

if TYPE_CHECKING:
    from trainables.data.cache import Progress
    from trainables.data.prepare import PreparedData, PreparedPart

GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/kfd"), Path("/dev/dxg"))
PHANTOM_PATIENTS = 72
PHANTOM_SEED = 0


def count_gpus() -> int:
    """Return the number of GPUs that torch can use; torch is loaded only where there is a driver."""
    if sys.platform == "linux" and not any(driver.exists() for driver in GPU_DRIVERS):
        return 0
    import torch

    return torch.cuda.device_count()


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch can use. Raises BadInput when torch and torchvision do not load."""
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"torch and torchvision: {reason}; they come as a pair from one index: install both with constraints.txt"
        ) from error
    assert torchvision.__version__
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def versions() -> dict[str, str]:
    """Return the versions of what decides a result."""
    names = ("torch", "torchvision", "timm", "ray", "optuna", "mlflow", "scikit-learn", "numpy", "pillow")
    return {name: version(name) for name in (*names, "opencv-python-headless")}


def git_state() -> dict[str, str]:
    """Return commit and dirty flag of the checkout this code runs from; empty where there is none."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    return {} if commit is None else {"commit": commit, "dirty": str(bool(changes)).lower()}


def find_data(task: Task, given: str | None, data_root: Path | None, home: Home) -> tuple[Path, str]:
    """Return the folder of images and who named it: --data, else ORCHESTRATE_DATA/<task>, else a phantom made here.

    Raises BadInput for a configured folder that does not exist: never a silent fallback.
    """
    if given == "phantom" or (given is None and data_root is None):
        return _phantom(task, home), "phantom"
    if given is not None:
        if not given:
            raise BadInput("--data: an empty path; name a folder of images or phantom")
        return Path(given), "--data"
    assert data_root is not None
    folder = data_root / task.name
    if not folder.is_dir():
        raise BadInput(
            f"ORCHESTRATE_DATA={data_root}: no folder {task.name!r} in it; put the {task.name} images there, "
            "name another folder with --data, or unset ORCHESTRATE_DATA for phantom data"
        )
    return folder, "ORCHESTRATE_DATA"


def prepare_data(
    task: Task, folder: Path, whence: str, sides_px: Sequence[int], cache: Path, seed: int, progress: "Progress"
) -> "PreparedData":
    """Decode and split; see trainables.data.prepare. Raises BadInput that names who chose the folder."""
    from trainables.data import prepare

    try:
        return prepare.prepare_data(task, folder, sides_px, cache, seed, progress)
    except DataError as error:
        raise BadInput(f"{whence}: {error}") from error
    except OSError as error:
        raise BadInput(f"{whence}: {error.filename}: {error.strerror}") from error


def check_weights(spaces: dict[str, Space], pretrained: bool) -> None:
    """Make sure that every backbone the sweep may choose exists and, if wanted, has its weights in the local cache.

    Raises BadInput before the sweep starts; the experiment is never changed silently.
    """
    from trainables.models import check_backbone, fetch_pretrained

    for architecture, space in spaces.items():
        for field in ARCHITECTURES[architecture].backbones:
            for name in _values(space.get(field), default_hyperparameters(architecture)[field]):
                try:
                    fetch_pretrained(str(name)) if pretrained else check_backbone(str(name))
                except WeightsError as error:
                    way_out = "use --weights random, or fill the Hugging Face cache (HF_HOME) once with network"
                    rule = f"; {way_out}" if pretrained else ""
                    raise BadInput(f"architectures.{architecture}.{field}: {error}{rule}") from error


def check_architecture(
    architecture: str,
    space: Space,
    classes: Sequence[str],
    pretrained: bool,
    development: "PreparedPart",
    device: str,
) -> ArchitectureChecked:
    """Build an architecture with its defaults and train it on one batch of the sweep's own images. Raises BadInput."""
    import torch

    from trainables.models import build_model, count_parameters
    from trainables.training import load_development, take_step

    hyperparameters = default_hyperparameters(architecture) | defaults(space)
    try:
        model = build_model(architecture, hyperparameters, len(classes), pretrained).to(device)
        data = load_development(development.rows, development.arrays[hyperparameters["image_px"]], device)
        started_s = time.perf_counter()
        loss = take_step(model, hyperparameters, data)
        step_s = time.perf_counter() - started_s
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(f"architectures.{architecture}: cannot be trained with its defaults: {reason[:300]}") from error
    if not math.isfinite(loss):
        raise BadInput(f"architectures.{architecture}: the first batch already gives a loss of {loss}")
    trainable, total = count_parameters(model)
    del model, data
    if device == "cuda":
        torch.cuda.empty_cache()
    return ArchitectureChecked(
        architecture=architecture, trainable_parameters=trainable, total_parameters=total, step_s=step_s
    )


def image_sides(spaces: dict[str, Space]) -> list[int]:
    """Return every image size that a trial of these spaces may ask for."""
    sides: set[int] = set()
    for architecture, space in spaces.items():
        parameter = space.get("image_px")
        if parameter is not None and parameter.kind in ("int", "float"):
            raise BadInput(f"architectures.{architecture}.image_px: sizes are decoded ahead, so use choice: [..]")
        sides |= {int(side) for side in _values(parameter, default_hyperparameters(architecture)["image_px"])}
    return sorted(sides)


def _values(parameter: Parameter | None, published: Scalar) -> list[Scalar]:
    if parameter is None:
        return [published]
    values = list(parameter.choices) if isinstance(parameter, Choice) else [parameter.default]
    return [*values, published] if parameter.when else values  # where its condition fails, the published value holds


def _phantom(task: Task, home: Home) -> Path:
    """Return the task's phantom, made once per home; a folder appears whole or not at all."""
    from trainables.data.phantom import PHANTOM_VERSION, PHANTOMS

    name = f"{task.name}-v{PHANTOM_VERSION}-{PHANTOM_PATIENTS}-seed{PHANTOM_SEED}"
    folder = home.phantoms / name
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{name}.part-{os.getpid()}-{secrets.token_hex(2)}")
    part.mkdir(parents=True)
    try:
        PHANTOMS[task.name](part, PHANTOM_PATIENTS, PHANTOM_SEED)
        part.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another sweep finished the same phantom first
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
