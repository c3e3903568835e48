"""Architecture records -> modules; weights in and out as safetensors."""

import importlib
import logging
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trainables.catalog import architecture as architecture_record
from trainables.durable import put_in_place
from trainables.errors import WeightsError, first_line

Build = Callable[[Mapping[str, Any], int, bool], nn.Module]


def build_model(
    architecture: str, hyperparameters: Mapping[str, Any], num_classes: int, pretrained: bool = False
) -> nn.Module:
    """Build an architecture; hyperparameters that are not given have their published values.

    Raises pydantic's ValidationError for values that the schema refuses.
    """
    record = architecture_record(architecture)
    module, _, function = record.builder.partition(":")
    build: Build = getattr(importlib.import_module(module), function)
    return build(record.config(**hyperparameters).model_dump(), num_classes, pretrained)


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Return (trainable, total)."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, trainable in sizes if trainable), sum(size for size, _ in sizes)


def check_backbone(name: str) -> None:
    """Raise WeightsError for a timm name that does not exist, or whose weights (after the dot) do not."""
    family, _, tag = name.partition(".")
    if family not in timm.list_models():
        kin = timm.list_models(f"*{family.partition('_')[0]}*") or timm.list_models()
        near = get_close_matches(family.lower(), kin, n=5, cutoff=0.3)
        raise WeightsError(f"timm has no model {name!r}" + (f"; near it: {', '.join(near)}" if near else ""))
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{family}.*")]
    if tag and tag not in tags:
        raise WeightsError(f"timm has no weights {tag!r} of {family}; known: {', '.join(tags[:10]) or 'none'}")


def fetch_pretrained(name: str) -> None:
    """Make sure that a timm model's pretrained weights are in the local cache. Raises WeightsError with the way out."""
    check_backbone(name)
    for logger in ("huggingface_hub", "timm"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # each of its retries is a line; the outcome is told below
    try:
        timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises its own kinds for each way of having no network
        reason = first_line(error, 120)
        raise WeightsError(f"pretrained weights of {name} cannot be had ({reason})") from error


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the weights atomically: a killed process or machine leaves the old file, never half a new one.

    Tensors that several layers share are written under each of their names: safetensors knows no shared ones.
    """
    part = path.with_name(path.name + ".part")
    tensors: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, tensor in model.state_dict().items():
        place = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.contiguous().clone() if place in written else tensor.contiguous()
        written.add(place)
    save_file(tensors, part)
    put_in_place(part, path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load weights written by `save_weights`; nothing is ever unpickled.

    Raises WeightsError for a file that is missing, damaged, no safetensors, or of another architecture.
    """
    try:
        given = load_file(path)
    except OSError as error:
        raise WeightsError(f"{path.name}: weights cannot be read ({error.strerror or 'no such file'})") from error
    except SafetensorError as error:
        raise WeightsError(f"{path.name}: {_why_no_safetensors(path)}") from error
    wanted = model.state_dict()
    differences = _differences(given, wanted)
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise WeightsError(f"{path.name}: weights of another architecture: {', '.join(differences[:3])}{more}")
    model.load_state_dict(given)


def holds_weights(path: Path) -> bool:
    """Tell whether a file is there that `save_weights` wrote, to its last byte; of which model is not looked at."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def _why_no_safetensors(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == b"\x80":  # torch.save since 1.6, and pickle since its protocol 2
        return "is a pickle or a torch checkpoint, which could run code; weights must be safetensors"
    return "is no safetensors file, or a damaged one; train or download it again"


def _differences(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return what differs in names and shapes, the model's order first."""
    differences = []
    for name, tensor in wanted.items():
        if name not in given:
            differences.append(f"{name} is missing")
        elif given[name].shape != tensor.shape:
            differences.append(f"{name} is {_shape(given[name])}, not {_shape(tensor)}")
    return differences + [f"{name} is unknown" for name in given if name not in wanted]


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
