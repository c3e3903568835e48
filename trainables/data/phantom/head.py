"""One head: its shape, its folds, and where every pixel of a slice lies in it.

Head coordinates: u to the image's right, v to the back of the head, radius 1 on the outer surface of the brain. Slice
height: 0 through the basal ganglia, 0.4 through the bodies of the ventricles, 0.8 near the vertex, -0.4 through sella
and midbrain.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
MAX_SCALP_RADIUS = 1.22
_FOLD_ANGLES, _FOLD_RADII = 256, 48  # grid of the folds: once around, and radius 0 to 1.25
_CHAOS_PX, _CHAOS_REACH = 64, 1.3  # grid of the slow noise, from -reach to reach in u and v


@dataclass(frozen=True, kw_only=True)
class Head:
    """One person."""

    outer_fraction: float  # scalp half length / short side of the canvas
    width_ratio: float
    egg: float  # how much wider the back is than the front
    dent: tuple[float, float]  # amplitude and phase (rad) of a three-lobed deviation from the ellipse
    skull_radius: float
    scalp_radius: float
    ventricle_scale: float
    asymmetry: float  # how much larger the left ventricle is
    sulcus_width: float
    sulcus_depth: float
    cortex_width: float
    calcium: tuple[float, float]  # radius of the calcified choroid plexus, left and right
    folds: Floats  # [2, angle, radius], two independent noise fields; their mix turns with slice height
    chaos: Floats  # [2, G, G], slow noise: bends the folds, frays the edges of lesions


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How the head lies on the canvas."""

    canvas_hw: tuple[int, int]
    rotation_rad: float
    shift_fraction: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where every pixel of one slice lies in the head; all [H, W]."""

    u: Floats
    v: Floats
    radius: Floats
    angle_rad: Floats
    chaos: Floats  # [2, H, W], about unit variance


def draw_head(rng: np.random.Generator, size: float) -> Head:
    """Return a person; `size` in [0, 1) spans small to large."""
    folds = rng.standard_normal((2, _FOLD_ANGLES, _FOLD_RADII)).astype(np.float32)
    folds += 0.8 * folds[:, ::-1]  # hemispheres resemble each other: angle 0 is the midline at the front
    folds = np.stack([_smooth(np.pad(fold, ((16, 16), (0, 0)), "wrap"), 1.5, 4.0)[16:-16] for fold in folds])
    chaos = rng.standard_normal((2, _CHAOS_PX, _CHAOS_PX)).astype(np.float32)
    chaos = np.stack([_smooth(field, 2.4, 2.4) for field in chaos])
    skull_radius = rng.uniform(1.07, 1.12)
    return Head(
        outer_fraction=0.39 + 0.09 * size,
        width_ratio=rng.uniform(0.76, 0.88),
        egg=rng.uniform(0.04, 0.12),
        dent=(rng.uniform(0.0, 0.02), rng.uniform(0.0, 2 * math.pi)),
        skull_radius=skull_radius,
        scalp_radius=skull_radius + rng.uniform(0.05, 0.10),
        ventricle_scale=rng.uniform(0.7, 1.4),
        asymmetry=rng.uniform(-0.2, 0.2),
        sulcus_width=rng.uniform(0.10, 0.26),
        sulcus_depth=rng.uniform(0.24, 0.36),
        cortex_width=rng.uniform(0.60, 0.80),
        calcium=(max(0.0, rng.uniform(-0.02, 0.03)), max(0.0, rng.uniform(-0.02, 0.03))),
        folds=folds,
        chaos=chaos,
    )


def _smooth(field: Floats, sigma_rows: float, sigma_columns: float) -> Floats:
    smooth = cv2.GaussianBlur(field, (0, 0), sigmaX=sigma_columns, sigmaY=sigma_rows)
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def within(signed_distance: Floats, softness: float = 0.03) -> Floats:
    """1 where the distance is below zero, 0 above, a ramp of the given width between (partial volume)."""
    return np.asarray(np.clip(0.5 - signed_distance / softness, 0, 1), dtype=np.float32)


def ramp(value: float, start: float, end: float) -> float:
    """0 before start, 1 after end, straight between; end may be the smaller one."""
    return min(1.0, max(0.0, (value - start) / (end - start)))


def locate(head: Head, pose: Pose, height: float) -> Frame:
    """Return where every pixel lies in the head."""
    rows, columns = pose.canvas_hw
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    taper = math.sqrt(1 - (max(height, 0.0) / 1.25) ** 2) * (1 - 0.06 * ramp(height, -0.2, -0.4))
    half_length_px = head.outer_fraction * min(pose.canvas_hw) / MAX_SCALP_RADIUS * taper
    x = (x - columns * (0.5 + pose.shift_fraction[0])) / half_length_px
    y = (y - rows * (0.5 + pose.shift_fraction[1])) / half_length_px
    cos, sin = math.cos(pose.rotation_rad), math.sin(pose.rotation_rad)
    v = cos * y - sin * x
    u = (cos * x + sin * y) / (head.width_ratio * (1 + head.egg * np.clip(v, -1.2, 1.2)))
    angle_rad = np.arctan2(u, -v)  # 0 at the front, positive to the right
    radius = np.hypot(u, v) * (1 + head.dent[0] * np.cos(3 * angle_rad + head.dent[1]))
    to_grid = (_CHAOS_PX - 1) / (2 * _CHAOS_REACH)
    at_u, at_v = (u + _CHAOS_REACH) * to_grid, (v + _CHAOS_REACH) * to_grid
    chaos = np.stack([cv2.remap(c, at_u, at_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT) for c in head.chaos])
    return Frame(u=u, v=v, radius=radius, angle_rad=angle_rad, chaos=chaos)


def pushed(frame: Frame, centre_uv: tuple[float, float], reach: float, push: float) -> Frame:
    """Return the frame in which a mass at the centre has pushed the brain aside; the skull stays."""
    du, dv = frame.u - centre_uv[0], frame.v - centre_uv[1]
    give = push * np.exp(-(du**2 + dv**2) / reach**2) * np.clip((1.02 - frame.radius) / 0.3, 0, 1)
    u, v = frame.u - give * du, frame.v - give * dv
    return Frame(u=u, v=v, radius=frame.radius, angle_rad=frame.angle_rad, chaos=frame.chaos)


def fold_map(head: Head, frame: Frame, height: float) -> Floats:
    """Return noise of unit variance; sulci run along its zero lines, mostly inwards from the surface."""
    turn_rad = 2.0 * height
    mixed = math.cos(turn_rad) * head.folds[0] + math.sin(turn_rad) * head.folds[1]
    at_angle = (frame.angle_rad + 0.10 * frame.chaos[1]) / (2 * math.pi) % 1 * _FOLD_ANGLES
    at_radius = (frame.radius + 0.06 * frame.chaos[0]) * (_FOLD_RADII / 1.25)
    wrapped = np.concatenate([mixed, mixed[:2]])
    folds = cv2.remap(wrapped, at_radius, at_angle, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(folds, dtype=np.float32)


def segment_share(x: Floats, y: Floats, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Return 0 beside the start, 1 beside the end."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    return np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx**2 + dy**2), 0, 1)


def segment_gap(x: Floats, y: Floats, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Return the distance from a line segment."""
    along = segment_share(x, y, start, end)
    dx, dy = end[0] - start[0], end[1] - start[1]
    return np.asarray(np.hypot(x - start[0] - along * dx, y - start[1] - along * dy))
