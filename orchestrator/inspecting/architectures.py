"""Architectures before a sweep: weights to be had, one batch trained, image sizes asked for. Imports torch late."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from orchestrator.journal import ArchitectureChecked
from orchestrator.space import Choice, Parameter, Scalar, Space, defaults
from trainables.catalog import ARCHITECTURES, default_hyperparameters
from trainables.errors import WeightsError

if TYPE_CHECKING:
    from trainables.data.prepare import PreparedPart


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
