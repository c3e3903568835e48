"""A spatial gate as a map of its own: the weights by which a model lets places through, whatever the class."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.layers import SpatialLayer
from trainables.explain.subject import Subject


def gate_map(subject: Subject, layer: SpatialLayer) -> np.ndarray:
    """Return the gate's map_HW >= 0 on its own grid. Raises ExplanationError for what is no gate."""
    weights_BCHW = layer.to_BCHW(layer_output(subject, layer.module))
    if weights_BCHW.shape[1] != 1 or bool((weights_BCHW < 0).any()):
        raise ExplanationError(
            f"gate at layer {layer.path}: a gate gives one weight of 0 or more per place, and this layer "
            f"{weights_BCHW.shape[1]} numbers; name the gate, or take a CAM"
        )
    map_HW: np.ndarray = weights_BCHW[0, 0].cpu().numpy()
    return map_HW


@torch.no_grad()
def layer_output(subject: Subject, module: nn.Module) -> Tensor:
    """Return what a module gives in a pass of the case. Raises ExplanationError unless it runs once."""
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        given.append(output.detach().clone().float())  # an in-place operation that follows would change it

    handle = module.register_forward_hook(keep)
    try:
        subject.logits_BK(subject.image_1CHW)
    finally:
        handle.remove()
    if len(given) != 1:
        raise ExplanationError(f"the gate runs {len(given)} times in a pass, not once")
    return given[0]
