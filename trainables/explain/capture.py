"""One forward pass up to a layer and on: the layer's maps, and the gradient of a class's logit at them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.errors import ExplanationError
from trainables.explain.layers import SpatialLayer
from trainables.explain.subject import Subject

Score = Callable[[Tensor], Tensor]  # logits_BK -> score_B


@dataclass(frozen=True)
class LayerPass:
    """A layer's output for one image, as the layer gives it, and the gradient of the score there; both float32.

    `call` is which run of the layer it was, where one forward pass runs it several times.
    """

    activations: Tensor
    gradients: Tensor
    call: int


def layer_pass(subject: Subject, layer: SpatialLayer, score: Score, second_order: bool = False) -> LayerPass:
    """Run one image through; `second_order` keeps the graph of the gradient, for a derivative of it.

    The graph begins at the layer: what lies before it may be frozen or computed without gradients, and costs nothing.
    An in-place operation that follows works on a copy, as the maps themselves would change with it.
    Raises ExplanationError for a layer that does not see the image or sees it twice, that the score does not depend
    on, or whose tokens of the grid it does not depend on.
    """
    outputs: list[Tensor | None] = []  # one for each run of the layer; None for one on another image of the case
    several = len(subject.images) > 1

    def begin_graph(module: Any, inputs: Any, output: Tensor) -> Tensor | None:
        if several and not output.requires_grad:
            outputs.append(None)
            return None
        leaf = output.detach().clone().requires_grad_()
        outputs.append(leaf)
        return leaf.clone()

    # Where there are several images, autograd tells which calls of the layer depend on the one that is explained.
    image_1CHW = subject.image_1CHW.clone().requires_grad_(several)
    handle = layer.module.register_forward_hook(begin_graph)
    try:
        total = score(subject.logits_BK(image_1CHW)).sum()
    finally:
        handle.remove()
    kept = [leaf for leaf in outputs if leaf is not None]
    if len(kept) != 1:
        raise ExplanationError(_why_not_once(layer.path, len(kept), subject.index))
    if not total.requires_grad:
        raise ExplanationError(
            f"layer {layer.path}: the logits do not depend on it, or no gradient comes back from them"
        )
    (gradients,) = torch.autograd.grad(total, kept[0], create_graph=second_order, allow_unused=True)
    if gradients is None:
        raise ExplanationError(f"layer {layer.path}: the logits do not depend on it")
    _require_grid_to_matter(layer, gradients)
    activations = kept[0] if second_order else kept[0].detach()
    call = next(number for number, leaf in enumerate(outputs) if leaf is not None)
    return LayerPass(activations.float(), gradients.float(), call)


def _why_not_once(path: str, num_calls: int, index: int) -> str:
    if num_calls == 0:
        return f"layer {path}: nothing there depends on image {index} of the case; name a layer of its branch"
    return f"layer {path}: runs {num_calls} times for one image, and a map would show one of them; name another"


def _require_grid_to_matter(layer: SpatialLayer, gradients: Tensor) -> None:
    """Refuse a layer behind the last attention of a ViT whose head reads the class token alone."""
    if layer.num_prefix and bool(gradients.any()) and not bool(gradients[:, layer.num_prefix :].any()):
        raise ExplanationError(
            f"layer {layer.path}: the head reads the class token, and no patch reaches it from here on; "
            "name the last block's norm1, or a block before it"
        )
