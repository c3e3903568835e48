"""One forward pass, watched: which module gave what, in the order in which they finished."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Finished:
    """A module that gave a tensor; equal `tensor` numbers are one and the same tensor."""

    path: str
    module: nn.Module
    shape: tuple[int, ...]
    tensor: int

    @property
    def is_leaf(self) -> bool:
        """Return whether it has no modules within."""
        return next(self.module.children(), None) is None


@dataclass
class Trace:
    """What finished, first to last, and which of it gave the backbone's features."""

    finished: list[Finished] = field(default_factory=list)
    features_path: str | None = None
    features_given: bool = False


@torch.no_grad()
def trace(model: nn.Module, run: Callable[[], Tensor], backbone: nn.Module | None = None) -> Trace:
    """Watch `run()`, a forward pass of `model`.

    Of a backbone of timm, `features_path` becomes the module whose output its `forward_features` gave back. With
    in-place operations earlier modules gave the same tensor, at a time when it held other values: the last one counts.
    """
    seen, numbers = Trace(), _TensorNumbers()

    def note(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                seen.finished.append(Finished(path, module, tuple(output.shape), numbers.of(output)))

        return hook

    handles = [module.register_forward_hook(note(path)) for path, module in model.named_modules() if path]
    try:
        with _watched_features(backbone, seen, numbers):
            run()
    finally:
        for handle in handles:
            handle.remove()
    return seen


class _TensorNumbers:
    """Numbers tensors without keeping them: a pass needs no more memory for being watched."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._next = 0

    def of(self, tensor: Tensor) -> int:
        alive, number = self._known.get(id(tensor), (None, -1))
        if alive is None or alive() is not tensor:  # an id is given again once its tensor is gone
            number, self._next = self._next, self._next + 1
            self._known[id(tensor)] = weakref.ref(tensor), number
        return number


@contextmanager
def _watched_features(backbone: nn.Module | None, seen: Trace, numbers: _TensorNumbers) -> Iterator[None]:
    if backbone is None:
        yield
        return
    plain: Callable[..., Any] = backbone.forward_features  # type: ignore[assignment]

    def forward_features(x_BCHW: Tensor, *more: Any, **named: Any) -> Any:
        features = plain(x_BCHW, *more, **named)
        number = numbers.of(features) if isinstance(features, Tensor) else -1
        same = [one.path for one in seen.finished if one.tensor == number]
        seen.features_given, seen.features_path = True, same[-1] if same else None
        return features

    backbone.forward_features = forward_features  # type: ignore[assignment]
    try:
        yield
    finally:
        del backbone.forward_features
