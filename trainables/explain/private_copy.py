"""Explaining leaves no trace: it works on a copy of the model, and puts random and autograd state back."""

import copy
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables.errors import ExplanationError, first_line

_ONE_AT_A_TIME = threading.RLock()  # what draws random numbers shares its state with all threads


def private_copy(model: nn.Module) -> nn.Module:
    """Return a copy in eval mode and float32, without compilation and whose parameters take no gradient.

    A copy for each call, so that calls from several threads do not watch each other's layers. Hooks of the model's
    owner are kept, as they may be part of what it computes. Raises ExplanationError for a model that cannot be copied,
    or whose layers no hook reaches.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ExplanationError("a TorchScript model: its layers cannot be watched; give the nn.Module it was made from")
    with torch.inference_mode(False):  # the copies of inference tensors must be ordinary ones
        try:
            private = copy.deepcopy(_plain(model), _detached(model))
        except (RuntimeError, TypeError) as error:
            raise ExplanationError(f"{type(model).__name__} cannot be copied ({first_line(error, 160)})") from error
        _remove_compilation(private)
        try:
            return private.requires_grad_(False).float().eval()
        except ValueError as error:
            raise ExplanationError(f"{type(model).__name__} is not yet initialised: give it a batch first") from error


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Allow gradients, turn autocast off, and seed what draws random numbers; all is as before afterwards.

    One thread at a time: others wait for their turn. Who draws random numbers in another thread meanwhile, without
    explaining, draws those of this seed.
    """
    with _ONE_AT_A_TIME, _seeded(device):
        yield


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    python_state, numpy_state = random.getstate(), np.random.get_state()
    on_gpu = device.type == "cuda"
    try:
        with (
            torch.random.fork_rng(devices=[device] if on_gpu else []),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device.type, enabled=False),
        ):
            torch.default_generator.manual_seed(0)  # torch.manual_seed would reach GPUs that are not ours
            if on_gpu:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(0)
            random.seed(0)
            np.random.seed(0)  # scikit-learn's kernel PCA starts from it
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _detached(model: nn.Module) -> dict[int, Any]:
    """Return copies of what modules keep of a pass, as deepcopy's memo: it refuses tensors that have a graph."""
    kept: list[Any] = []
    for value in (value for module in model.modules() for value in vars(module).values()):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        kept += [value, *inner]
    return {id(one): one.detach().clone() for one in kept if isinstance(one, torch.Tensor) and not one.is_leaf}


def _plain(model: nn.Module) -> nn.Module:
    inner = model.module if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) else None
    inner = getattr(model, "_orig_mod", inner)  # torch.compile's
    return _plain(inner) if isinstance(inner, nn.Module) else model


def _remove_compilation(module: nn.Module) -> None:
    for name, child in module.named_children():
        plain = _plain(child)
        if plain is not child:
            setattr(module, name, plain)
        _remove_compilation(plain)
