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
    random_crop_fraction: float = 0.0  # 0.3: a window of 0.7 to all of the area, drawn evenly, anywhere
    gamma: float = 0.0  # 0.2: grey to a power drawn evenly from 0.8 to 1.2
    num_holes: int = 0  # most black squares in one image, drawn evenly from 1
    hole_fraction: float = 0.036  # their side, of the image's
    hole_probability: float = 1.0  # that an image has any
    same_geometry: bool = False  # the images of a case lie on each other: what moves one moves all
    modality_dropout: float = 0.0  # share of the cases of several images that lose one of them

    @classmethod
    def of(cls, hyperparameters: Mapping[str, Any]) -> Self:
        """Return the augmentation among a trial's hyperparameters; those of older journals lack some fields."""
        return cls(**{field.name: hyperparameters.get(field.name, field.default) for field in fields(cls)})


def augment(x_BMHW: torch.Tensor, by: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Return a changed copy of cases in [0, 1] of M images each, every image with draws of its own.

    Cropped, mirrored, turned, moved, zoomed (all images of a case alike where they lie on each other); then grey, noise
    and holes; then one image of a case may be left out, which is black. What turns or moves in is 0, or what lay beside
    the crop. But for noise, the draws of a sample are the same whatever its size. `generator` is on its device.
    """
    num_images = x_BMHW.shape[1]
    changed_BMHW = _augment_images(x_BMHW.reshape(-1, 1, *x_BMHW.shape[2:]), by, num_images, generator).reshape(
        x_BMHW.shape
    )
    return _drop_images(changed_BMHW, by.modality_dropout, generator) if num_images > 1 else changed_BMHW


def _augment_images(
    x_BCHW: torch.Tensor, by: Augmentation, images_per_case: int, generator: torch.Generator
) -> torch.Tensor:
    def even(*shape: int) -> torch.Tensor:
        return torch.rand(len(x_BCHW), *shape, generator=generator, device=x_BCHW.device)

    def of_case(draws: torch.Tensor) -> torch.Tensor:
        return draws[::images_per_case].repeat_interleave(images_per_case, dim=0) if by.same_geometry else draws

    # The order of draws is that of the operations' history: old settings keep their numbers.
    draw_B7 = even(7)
    spread_B6 = draw_B7[:, 1:] * 2 - 1
    noise_BCHW = None
    if by.noise:
        strength_B111 = even(1, 1, 1) * by.noise
        noise_BCHW = strength_B111 * torch.randn(x_BCHW.shape, generator=generator, device=x_BCHW.device)
    crop = _crop(of_case(even(4)), by.random_crop_fraction) if by.random_crop_fraction else None
    x_BCHW = _move(x_BCHW, by, of_case(draw_B7[:, 0]) < 0.5, of_case(spread_B6[:, :4]), crop)
    if by.contrast:
        mean_B111 = x_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        factor_B111 = 1 + by.contrast * spread_B6[:, 4].view(-1, 1, 1, 1)
        x_BCHW = mean_B111 + (x_BCHW - mean_B111) * factor_B111
    if by.brightness:
        x_BCHW = x_BCHW + by.brightness * spread_B6[:, 5].view(-1, 1, 1, 1)
    if by.gamma:
        x_BCHW = x_BCHW.clamp(0, 1) ** (1 + by.gamma * (even(1, 1, 1) * 2 - 1))
    if noise_BCHW is not None:
        x_BCHW = x_BCHW + noise_BCHW
    if by.contrast or by.brightness or by.noise:
        x_BCHW = x_BCHW.clamp(0, 1)
    return _cut_holes(x_BCHW, by, even(2), even(2, by.num_holes)) if by.num_holes else x_BCHW


def _drop_images(x_BMHW: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Blacken one image, each as likely, of a share of the cases: a model then cannot lean on one modality alone."""
    if not share:
        return x_BMHW
    draw_B2 = torch.rand(len(x_BMHW), 2, generator=generator, device=x_BMHW.device)
    which_B1 = (draw_B2[:, 1:] * x_BMHW.shape[1]).floor()
    is_left_out_BM = (torch.arange(x_BMHW.shape[1], device=x_BMHW.device) == which_B1) & (draw_B2[:, :1] < share)
    return x_BMHW.masked_fill(is_left_out_BM[:, :, None, None], 0)


def _crop(draw_B4: torch.Tensor, left_out_fraction: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sides_B2 of windows, of the image's, and centres_B2 from -1 to 1 of the image, both (x, y).

    Inception's crop (Szegedy et al. 2015, arXiv:1409.4842): width over height is drawn evenly in logarithm from 3/4 to
    4/3, or to as far as the window fits.
    """
    area_B = 1 - left_out_fraction * draw_B4[:, 0]
    widest_B = (-area_B.log()).clamp(max=math.log(4 / 3))
    half_log_aspect_B = widest_B * (draw_B4[:, 1] - 0.5)
    sides_B2 = area_B.sqrt()[:, None] * torch.stack([half_log_aspect_B, -half_log_aspect_B], dim=1).exp()
    return sides_B2, (1 - sides_B2) * (draw_B4[:, 2:] * 2 - 1)


def _cut_holes(x_BCHW: torch.Tensor, by: Augmentation, draw_B2: torch.Tensor, draw_B2N: torch.Tensor) -> torch.Tensor:
    """Blacken whole squares within the image: DeVries and Taylor 2017, arXiv:1708.04552."""
    count_B = torch.where(draw_B2[:, 0] < by.hole_probability, 1 + (draw_B2[:, 1] * by.num_holes).floor(), 0)
    is_cut_BN1 = (torch.arange(by.num_holes, device=x_BCHW.device) < count_B[:, None])[..., None]
    hole_px = max(1, round(by.hole_fraction * x_BCHW.shape[-1]))
    inside = []
    for axis, side_px in enumerate(x_BCHW.shape[2:]):
        first_BN1 = (draw_B2N[:, axis, :, None] * (side_px - hole_px + 1)).floor()
        pixel_S = torch.arange(side_px, device=x_BCHW.device)
        inside.append(((pixel_S >= first_BN1) & (pixel_S < first_BN1 + hole_px) & is_cut_BN1).float())
    rows_BNH, columns_BNW = inside
    is_hole_B1HW = (rows_BNH.mT @ columns_BNW > 0).unsqueeze(1)
    return x_BCHW.masked_fill(is_hole_B1HW, 0)


def _move(
    x_BCHW: torch.Tensor,
    by: Augmentation,
    flip_B: torch.Tensor,
    spread_B4: torch.Tensor,
    crop: tuple[torch.Tensor, torch.Tensor] | None,
) -> torch.Tensor:
    """Crop, flip, turn, shift and zoom in one resampling, or by a plain flip where that is all."""
    if crop is None and not (by.rotation_deg or by.shift_fraction or by.zoom_fraction):
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
    if crop is not None:
        sides_B2, centres_B2 = crop
        affine_B23 = affine_B23 * sides_B2[:, :, None] + F.pad(centres_B2[:, :, None], (2, 0))
    grid_BHW2 = F.affine_grid(affine_B23, list(x_BCHW.shape), align_corners=False)
    return F.grid_sample(x_BCHW, grid_BHW2, align_corners=False)
