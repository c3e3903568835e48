"""Hardware, versions, the checkout: what a result depends on besides data and settings. Imports torch late."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from orchestrator.errors import BadInput
from trainables.errors import first_line

GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/kfd"), Path("/dev/dxg"))
PACKED_FROM = Path(__file__).with_name("packed_from.json")  # in the code that a cluster was sent
MOST_DIFF_CHARACTERS = 1_000_000


def count_gpus() -> int:
    """Return the number of GPUs that torch can use; torch is loaded only where there is a driver."""
    if sys.platform == "linux" and not any(driver.exists() for driver in GPU_DRIVERS):
        return 0
    import torch

    return torch.cuda.device_count()


def gpu_memories_mib() -> list[float]:
    """Return the memory of each GPU."""
    import torch

    indices = range(torch.cuda.device_count())
    return [float(torch.cuda.get_device_properties(index).total_memory) / 2**20 for index in indices]


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch can use. Raises BadInput when torch and torchvision do not load."""
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:
        reason = first_line(error)
        raise BadInput(
            f"torch and torchvision: {reason}; they come as a pair from one index: install both with constraints.txt"
        ) from error
    assert torchvision.__version__
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def versions() -> dict[str, str]:
    """Return the versions of what decides a result."""
    names = ("torch", "torchvision", "timm", "ray", "optuna", "mlflow", "scikit-learn", "numpy", "pillow")
    return {name: version(name) for name in (*names, "opencv-python-headless")}


def hardware() -> dict[str, str]:
    """Return what trials run on, in words: processors, memory, GPUs."""
    found = {"cpus": str(os.cpu_count())}
    with suppress(ValueError, OSError, AttributeError):  # not every system tells
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory"] = f"{memory_bytes / 2**30:.0f} GiB"
    if count_gpus():
        found["gpus"] = ", ".join(f"{count} x {name}" for name, count in Counter(gpu_names()).items())
    return found


def git_state() -> dict[str, str]:
    """Return commit and dirty flag of the checkout this code runs from, or was packed from; empty where of none."""
    if PACKED_FROM.is_file():
        state: dict[str, str] = json.loads(PACKED_FROM.read_text(encoding="utf-8"))["git"]
        return state
    if _git("ls-files", "--error-unmatch", __file__) is None:  # another project's, with this one installed in it
        return {}
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return {} if commit is None else {"commit": commit, "dirty": str(bool(changes)).lower()}


def git_diff() -> str:
    """Return what of the tracked files of that checkout differs from its commit; empty where there is none."""
    if PACKED_FROM.is_file():
        return str(json.loads(PACKED_FROM.read_text(encoding="utf-8"))["diff"])
    return (_git("diff", "HEAD") or "") if git_state() else ""


def packed_from() -> tuple[str, bytes]:
    """Return the name and content of a file that says, in a packed copy of this code, what it was packed from."""
    said = {"git": git_state(), "diff": git_diff()[:MOST_DIFF_CHARACTERS]}
    return f"orchestrator/inspecting/{PACKED_FROM.name}", json.dumps(said).encode()


def _git(*arguments: str) -> str | None:
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
