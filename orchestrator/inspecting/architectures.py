"""Architectures before a sweep: weights to be had, one batch trained, image sizes asked for. Imports torch late."""

import gc
import math
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from orchestrator.journal import ArchitectureChecked
from orchestrator.space import Choice, IntRange, Parameter, Scalar, Space, defaults
from trainables.catalog import architecture as architecture_record
from trainables.catalog import default_hyperparameters
from trainables.errors import WeightsError, first_line

if TYPE_CHECKING:
    from trainables.data.prepare import PreparedPart
    from trainables.data.views import View
    from trainables.training.learner import Learner
    from trainables.training.run import TrainingRun

MOST_STEPS, ENOUGH_S = 4, 2.0
FORGET_PEAK = "5"  # proc(5): sets the peak to what is held now
MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


def check_weights(spaces: dict[str, Space], pretrained: bool) -> None:
    """Make sure that every backbone the sweep may choose exists and, if wanted, has its weights in the local cache.

    Raises BadInput before the sweep starts; the experiment is never changed silently.
    """
    from trainables.models import check_backbone, fetch_pretrained

    for architecture, space in spaces.items():
        for field in architecture_record(architecture).backbones:
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
    weights: Path | None = None,
) -> ArchitectureChecked:
    """Build an architecture with its defaults and train it on a few batches of the sweep's own images.

    Seconds and memory per step are those of its default configuration. Raises BadInput where that fails, or where a
    batch may be larger than the training side.
    """
    import torch

    from trainables.training.batches import shown_images
    from trainables.training.run import TrainingRun

    hyperparameters = default_hyperparameters(architecture) | defaults(space)
    training_images = sum(row.side == "training" for row in development.rows)
    _check_batch_size(architecture, space, training_images)
    run = TrainingRun(
        architecture=architecture,
        hyperparameters=hyperparameters,
        num_classes=len(classes),
        pretrained=pretrained,
        epochs=1,
        seed=0,
        metric="log_loss",
        device=device,
        folder=Path(),  # nothing is kept
        weights=weights,
    )
    try:
        measured = _measure_with_room(run, development)
    except WeightsError as error:
        raise BadInput(f"--weights: {error}") from error
    except Exception as error:
        reason = first_line(error)
        raise BadInput(f"architectures.{architecture}: cannot be trained with its defaults: {reason[:300]}") from error
    if device == "cuda":
        torch.cuda.empty_cache()
    shown = shown_images(training_images, bool(hyperparameters["plain_copies"]))
    if not math.isfinite(measured.first_loss):
        raise BadInput(f"architectures.{architecture}: the first batch already gives a loss of {measured.first_loss}")
    return ArchitectureChecked(
        architecture=architecture,
        trainable_parameters=measured.trainable_parameters,
        total_parameters=measured.total_parameters,
        step_s=measured.step_s,
        peak_memory_mib=measured.peak_mib,
        steps_per_epoch=-(-shown // int(hyperparameters["batch_size"])),
    )


@dataclass(frozen=True)
class _Measured:
    first_loss: float
    step_s: float
    peak_mib: float
    trainable_parameters: int
    total_parameters: int


def _measure_with_room(run: "TrainingRun", development: "PreparedPart") -> _Measured:
    """Measure a run; where memory ends with half as many images at a time, as a trial then goes on with."""
    import torch

    while True:
        with suppress(torch.OutOfMemoryError):
            return _measure(run, development)
        run = _halved(run)  # here the attempt's frames, and what they held, are gone


def _measure(run: "TrainingRun", development: "PreparedPart") -> _Measured:
    from trainables.data.views import View
    from trainables.models import count_parameters
    from trainables.training.development import load_development
    from trainables.training.learner import Learner

    data = load_development(development.rows, development.arrays[View.of(run.hyperparameters).name], run.device)
    before_mib = _peak_memory_mib(run.device, reset=True)
    learner = Learner(run, data)
    losses, steps_s = _take_steps(learner)
    peak_mib = _peak_memory_mib(run.device) - before_mib
    return _Measured(losses[0], statistics.median(steps_s[1:] or steps_s), peak_mib, *count_parameters(learner.model))


def _halved(run: "TrainingRun") -> "TrainingRun":
    """Return a run with half as many images at a time, memory freed. Raises MemoryError where there is no half."""
    import torch

    from trainables.training.run import half_at_once

    half = half_at_once(run.hyperparameters)
    if not half:
        raise MemoryError("out of memory with its batch, which is needed whole; lower batch_size or image_px")
    gc.collect()
    if run.device == "cuda":
        torch.cuda.empty_cache()
    return replace(run, hyperparameters={**run.hyperparameters, "micro_batch_size": half})


def _take_steps(learner: "Learner") -> tuple[list[float], list[float]]:
    """Return loss and seconds of a few steps; the first warms up, and a slow model takes no more than that."""
    losses: list[float] = []
    steps_s: list[float] = []
    while len(steps_s) < MOST_STEPS and sum(steps_s) < ENOUGH_S:
        started_s = time.perf_counter()
        losses.append(learner.take_first_step())
        steps_s.append(time.perf_counter() - started_s)
    return losses, steps_s


def _peak_memory_mib(device: str, *, reset: bool = False) -> float:
    """Return the most memory held since the last reset: of the GPU, on a CPU of this process.

    Where the system cannot forget a process's peak (it is Linux that can), it is that since the process began.
    """
    if device == "cuda":
        import torch

        if reset:
            torch.cuda.reset_peak_memory_stats()
            return 0.0
        return float(torch.cuda.max_memory_reserved()) / 2**20
    with suppress(OSError, StopIteration, ValueError):
        if reset:
            Path("/proc/self/clear_refs").write_text(FORGET_PEAK, encoding="ascii")
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MIB


def _check_batch_size(architecture: str, space: Space, training_images: int) -> None:
    parameter = space.get("batch_size")
    sizes = _values(parameter, default_hyperparameters(architecture)["batch_size"])
    largest = parameter.high if isinstance(parameter, IntRange) else max(map(int, sizes))
    if int(largest) > training_images:
        raise BadInput(
            f"architectures.{architecture}.batch_size: {largest} is more than the {training_images} training images; "
            f"choose at most {training_images}, e.g. --set batch_size={2 ** (training_images.bit_length() - 1)}"
        )


def batch_growth(architecture: str, space: Space) -> float:
    """Return how many times the default batch the largest batch is that a trial may ask for."""
    parameter = space.get("batch_size")
    default = int((default_hyperparameters(architecture) | defaults(space))["batch_size"])
    sizes = _values(parameter, default)
    largest = parameter.high if isinstance(parameter, IntRange) else max(map(int, sizes))
    return max(1.0, float(largest) / default)


def image_views(spaces: dict[str, Space]) -> "list[View]":
    """Return every view of the images that a trial of these spaces may ask for."""
    from trainables.data.views import View

    views: set[View] = set()
    for architecture, space in spaces.items():
        published, asked = default_hyperparameters(architecture), []
        for name in ("image_px", "crop_brain", "crop_margin_px"):
            parameter = space.get(name)
            if parameter is not None and parameter.kind in ("int", "float"):
                raise BadInput(f"architectures.{architecture}.{name}: images are decoded ahead, so use choice: [..]")
            asked.append(_values(parameter, published[name]))
        for side, crops, margin in product(*asked):
            views.add(View.of({"image_px": side, "crop_brain": crops, "crop_margin_px": margin}))
    return sorted(views)


def _values(parameter: Parameter | None, published: Scalar) -> list[Scalar]:
    if parameter is None:
        return [published]
    values = list(parameter.choices) if isinstance(parameter, Choice) else [parameter.default]
    return [*values, published] if parameter.when else values  # where its condition fails, the published value holds
