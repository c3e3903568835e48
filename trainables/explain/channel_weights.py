"""Weights per channel of three CAMs of the grad-cam library which we compute ourselves, each for a reason of its own.

Their maps are the weighted sum of the layer's maps, as of every CAM.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.explain.capture import LayerPass
from trainables.explain.layers import SpatialLayer
from trainables.explain.subject import Subject

CHANNELS_AT_ONCE = 16  # variants of the image in one forward pass; memory grows with it


@torch.no_grad()
def scorecam_weights_C(subject: Subject, layer: SpatialLayer, seen: LayerPass, target: int) -> Tensor:  # noqa: N802
    """Return softmax over channels of the class's logit, the image being dimmed by each channel's map.

    As the library has it, which holds all C dimmed images at once (1.2 GB for a ResNet50 at 224 px) and, by its hooks,
    the layer's maps of each (0.8 GB); here it is 16 images at a time. Large logits let the softmax pick one channel.
    """
    maps_CHW = layer.to_BCHW(seen.activations)[0]
    scores = []
    for some_CHW in maps_CHW.split(CHANNELS_AT_ONCE):
        masks_N1HW = torch.nn.functional.interpolate(
            some_CHW[:, None], size=subject.image_hw, mode="bilinear", align_corners=True
        )
        masks_N1HW -= masks_N1HW.amin(dim=(2, 3), keepdim=True)
        masks_N1HW /= masks_N1HW.amax(dim=(2, 3), keepdim=True) + 1e-8
        scores.append(subject.score_B(subject.image_1CHW * masks_N1HW, target))
    return torch.softmax(torch.cat(scores), dim=0)


@torch.no_grad()
def ablationcam_weights_C(subject: Subject, layer: SpatialLayer, seen: LayerPass, target: int) -> Tensor:  # noqa: N802
    """Return by how much the class's logit drops when a channel is set to zero, the paper's ablation.

    The library swaps the layer in the model, sets the channel to -10 million where any value is negative, and divides
    the drop by the logit, which turns the map round where that is negative and otherwise only scales it.
    """
    whole = subject.score_B(subject.image_1CHW, target)
    num_channels = seen.activations.shape[layer.channel_axis]
    drops = []
    for some_N in torch.arange(num_channels).split(CHANNELS_AT_ONCE):
        ablated = seen.activations.repeat(len(some_N), *[1] * (seen.activations.ndim - 1))
        ablated.movedim(layer.channel_axis, 1)[torch.arange(len(some_N)), some_N] = 0
        handle = layer.module.register_forward_hook(_instead_of(seen.call, ablated))
        try:
            drops.append(whole - subject.score_B(subject.image_1CHW.expand(len(some_N), -1, -1, -1), target))
        finally:
            handle.remove()
    return torch.cat(drops)


def randomcam_weights_C(subject: Subject, layer: SpatialLayer, seen: LayerPass, target: int) -> Tensor:  # noqa: N802
    """Return uniform weights in [-1, 1] drawn from the image's own content; the library's move NumPy's global state."""
    content = subject.image_1CHW.cpu().numpy().tobytes()
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:8], "little"))
    weights_C = generator.uniform(-1, 1, seen.activations.shape[layer.channel_axis])
    return torch.as_tensor(weights_C, dtype=torch.float32, device=seen.activations.device)


CHANNEL_WEIGHTS: Mapping[str, Callable[[Subject, SpatialLayer, LayerPass, int], Tensor]] = {
    "scorecam": scorecam_weights_C,
    "ablationcam": ablationcam_weights_C,
    "randomcam": randomcam_weights_C,
}


def _instead_of(call: int, output: Tensor) -> Callable[[Any, Any, Any], Tensor | None]:
    """Return a hook that gives `output` for one run of a layer in a forward pass."""
    runs = itertools.count()
    return lambda module, inputs, given: output if next(runs) == call else None
