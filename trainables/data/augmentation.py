"""Random flips and rotations of whole batches, on the batch's device, each sample with its own draw."""

import math

import torch
import torch.nn.functional as F


def flip_and_rotate(
    x_BCHW: torch.Tensor, *, hflip: bool, rotation_deg: float, generator: torch.Generator
) -> torch.Tensor:
    """Mirror half of the samples and turn each by up to +-rotation_deg; corners that turn in are 0."""
    batch = x_BCHW.shape[0]
    draws_B2 = torch.rand(batch, 2, generator=generator).to(x_BCHW.device)
    flip_B = torch.where(draws_B2[:, 0] < 0.5, -1.0, 1.0) if hflip else torch.ones(batch, device=x_BCHW.device)
    angle_B = (draws_B2[:, 1] * 2 - 1) * math.radians(rotation_deg)
    zero_B = torch.zeros_like(angle_B)
    affine_B23 = torch.stack(
        [
            torch.stack([flip_B * angle_B.cos(), -flip_B * angle_B.sin(), zero_B], dim=1),
            torch.stack([angle_B.sin(), angle_B.cos(), zero_B], dim=1),
        ],
        dim=1,
    )
    grid_BHW2 = F.affine_grid(affine_B23, list(x_BCHW.shape), align_corners=False)
    return F.grid_sample(x_BCHW, grid_BHW2, align_corners=False)
