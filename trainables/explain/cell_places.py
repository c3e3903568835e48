"""Where the cells of a layer's grid lie in the image: not evenly, though CAMs are mostly drawn so.

A convolution with a stride of 2 and a padding of 1 has its first cell at pixel 0. Those of a ResNet's last layer lie at
0, 32, 64 ... px, and drawn as an even grid each stands half a cell, 16 px, too far down and right. Without padding
(ConvNeXt, patches of a ViT) an even grid is right; with TensorFlow's padding it stands too far up and left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from timm.layers.blur_pool import BlurPool2d
from torch import nn

from trainables.explain.tracing import Finished

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, BlurPool2d)


@dataclass(frozen=True)
class _Step:
    """How the grid shrinks at once: from what, by how much, and where first windows lie, in cells before it."""

    before: list[int]
    stride: tuple[int, int]
    starts: list[tuple[float, float]]


@dataclass(frozen=True)
class CellPlaces:
    """Centres of cells in pixels, down and across; the centre of the first pixel is 0."""

    first_px: tuple[float, float]
    step_px: tuple[float, float]

    def on_image(self, map_hw: np.ndarray, image_HW: tuple[int, int]) -> np.ndarray:
        """Return map_HW (float32), bilinear between the cells.

        An outermost cell holds for half a cell beyond its centre, as on an even grid, and is 0 a whole one beyond:
        what a layer does not look at has no evidence.
        """
        down_Hh, across_Ww = (
            _weights(*axis) for axis in zip(image_HW, map_hw.shape, self.first_px, self.step_px, strict=True)
        )
        return np.asarray((down_Hh @ map_hw.astype(np.float64) @ across_Ww.T).astype(np.float32))


def evenly(grid_hw: tuple[int, int], image_HW: tuple[int, int]) -> CellPlaces:
    """Return the places of cells that divide the image among them."""
    rows, columns = (side / cells for side, cells in zip(image_HW, grid_hw, strict=True))
    return CellPlaces(((rows - 1) / 2, (columns - 1) / 2), (rows, columns))


def cell_places(
    finished: Sequence[Finished], path: str, grid_hw: tuple[int, int], image_HW: tuple[int, int]
) -> CellPlaces:
    """Return where the cells of the layer at `path` lie, from what ran before it.

    Followed are convolutions and poolings whose strides and padding lead from the image to the grid: those of the
    layer's own branch, or else all. Where they do not (patches merged by reshaping), cells are taken to lie evenly.
    """
    last = max(number for number, one in enumerate(finished) if one.path == path)
    before = [one for one in finished[: last + 1] if isinstance(one.module, _WINDOWS) and len(one.shape) == 4]
    branch = path.partition(".")[0]
    for windows in ([one for one in before if one.path.partition(".")[0] == branch], before):
        places = _followed(windows, grid_hw, image_HW)
        if places is not None:
            return places
    return evenly(grid_hw, image_HW)


def _followed(windows: Sequence[Finished], grid_hw: tuple[int, int], image_HW: tuple[int, int]) -> CellPlaces | None:
    """Follow what shrinks the grid, step by step; of two ways of one step (a shortcut that pools) the mean counts."""
    steps: list[_Step] = []
    size = list(image_HW)
    for one in windows:
        given = list(one.shape[2:])
        before = size if given != size else steps[-1].before if steps else None
        starts = _starts_cells(one.module, before, given)
        if starts is None:
            continue  # what fits nowhere is beside the way, as a gate is
        if given != size:
            steps.append(_Step(size, _pair(one.module, "stride"), []))
            size = given
        steps[-1].starts.append(starts)
    if size != list(grid_hw):
        return None
    first_px, step_px = np.zeros(2), np.ones(2)
    for step in steps:
        first_px, step_px = first_px + step_px * np.mean(step.starts, axis=0), step_px * step.stride
    return CellPlaces(_two(first_px), _two(step_px))


def _starts_cells(module: nn.Module, before: list[int] | None, after: list[int]) -> tuple[float, float] | None:
    if before is None:
        return None
    down, across = (_start_cells(module, axis, before[axis], after[axis]) for axis in (0, 1))
    return None if down is None or across is None else (down, across)


def _start_cells(module: nn.Module, axis: int, before: int, after: int) -> float | None:
    """Return where the first window's centre lies, in cells before it; None where it does not make `after` of them."""
    kernel = _pair(module, "filt_size" if isinstance(module, BlurPool2d) else "kernel_size")[axis]
    stride, padding = _pair(module, "stride")[axis], _pair(module, "padding")[axis]
    reach = _pair(module, "dilation")[axis] * (kernel - 1)
    rest = before + 2 * padding - reach - 1
    rounded = -(-rest // stride) if getattr(module, "ceil_mode", False) else rest // stride
    if rest >= 0 and after == rounded + 1:
        return reach / 2 - padding
    same = max(0, (after - 1) * stride + reach + 1 - before)
    return reach / 2 - same // 2 if after == -(-before // stride) else None  # TensorFlow's, in timm's *Same layers


def _pair(module: Any, name: str) -> tuple[int, int]:
    value = getattr(module, name, 1)
    if isinstance(value, str):  # padding by name: "same" goes with a stride of 1, which moves nothing
        return 0, 0
    return (int(value[0]), int(value[1])) if isinstance(value, tuple | list) else (int(value), int(value))


def _two(values_2: np.ndarray) -> tuple[float, float]:
    return float(values_2[0]), float(values_2[1])


def _weights(side_px: int, cells: int, first_px: float, step_px: float) -> np.ndarray:
    """Return weights_Pc of each cell at each pixel."""
    places_P = (np.arange(side_px) - first_px) / step_px
    within_P = np.clip(places_P, 0, cells - 1)
    held_P = np.clip(2 * (1 - np.abs(places_P - within_P)), 0, 1)
    return np.asarray(held_P[:, None] * np.maximum(0, 1 - np.abs(within_P[:, None] - np.arange(cells)[None])))
