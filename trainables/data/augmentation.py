"""Random changes to whole batches, on the batch's device, each sample with its own draw."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
import torch.nn.functional as F


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much is changed at most; nothing where all is 0."""

    hflip: bool = False
    rotation_deg: float = 0.0
    shift_fraction: float = 0.0  # of the side, in both directions
    zoom_fraction: float = 0.0  # 0.1: drawn evenly from 0.9 to 1.1 times the size
    brightness: float = 0.0  # added, of the grey range
    contrast: float = 0.0  # 0.2: drawn evenly from 0.8 to 1.2 times the distance to the image's mean
    noise: float = 0.0  # standard deviation, drawn evenly from 0, of the grey range

    @classmethod
    def of(cls, hyperparameters: Mapping[str, Any]) -> Self:
        """Return the augmentation among a trial's hyperparameters."""
        return cls(**{field.name: hyperparameters[field.name] for field in fields(cls)})


def augment(x_BCHW: torch.Tensor, by: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Return a changed copy of a batch in [0, 1]: mirrored, turned, moved, zoomed, brighter or darker, noisier.

    What turns or moves in is 0. The draws of a sample are the same whatever its size. `generator` is on its device.
    """
    device = x_BCHW.device
    draw_B7 = torch.rand(len(x_BCHW), 7, generator=generator, device=device)
    spread_B6 = draw_B7[:, 1:] * 2 - 1
    x_BCHW = _move(x_BCHW, by, flip_B=draw_B7[:, 0] < 0.5, spread_B4=spread_B6[:, :4])
    if by.contrast:
        mean_B111 = x_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        factor_B111 = 1 + by.contrast * spread_B6[:, 4].view(-1, 1, 1, 1)
        x_BCHW = mean_B111 + (x_BCHW - mean_B111) * factor_B111
    if by.brightness:
        x_BCHW = x_BCHW + by.brightness * spread_B6[:, 5].view(-1, 1, 1, 1)
    if by.noise:
        strength_B111 = torch.rand(len(x_BCHW), 1, 1, 1, generator=generator, device=device) * by.noise
        x_BCHW = x_BCHW + strength_B111 * torch.randn(x_BCHW.shape, generator=generator, device=device)
    return x_BCHW.clamp(0, 1) if by.contrast or by.brightness or by.noise else x_BCHW


def _move(x_BCHW: torch.Tensor, by: Augmentation, flip_B: torch.Tensor, spread_B4: torch.Tensor) -> torch.Tensor:
    """Flip, turn, shift and zoom in one resampling, or by a plain flip where that is all."""
    if not (by.rotation_deg or by.shift_fraction or by.zoom_fraction):
        return torch.where(flip_B.view(-1, 1, 1, 1), x_BCHW.flip(-1), x_BCHW) if by.hflip else x_BCHW
    flip_B = torch.where(flip_B, -1.0, 1.0) if by.hflip else torch.ones_like(spread_B4[:, 0])
    angle_B = spread_B4[:, 0] * math.radians(by.rotation_deg)
    shift_B2 = spread_B4[:, 1:3] * 2 * by.shift_fraction  # the side is 2 in the sampling grid's units
    size_B = 1 / (1 + by.zoom_fraction * spread_B4[:, 3])
    affine_B23 = torch.stack(
        [
            torch.stack([flip_B * angle_B.cos() * size_B, -flip_B * angle_B.sin() * size_B, shift_B2[:, 0]], dim=1),
            torch.stack([angle_B.sin() * size_B, angle_B.cos() * size_B, shift_B2[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid_BHW2 = F.affine_grid(affine_B23, list(x_BCHW.shape), align_corners=False)
    return F.grid_sample(x_BCHW, grid_BHW2, align_corners=False)
