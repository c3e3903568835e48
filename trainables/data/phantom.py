"""Synthetic head slices with a planted stroke lesion, in the folder layout of the real stroke set.

Demo data, test data and ground truth for heatmaps; not a model of disease. Only the lesion depends on the class: head,
pose, scanner, canvas and file type come from other random streams. The MR display gain follows the picture's mean, so
there a lesion also dims the rest of its picture slightly.

Head coordinates: u to the image's right, v to the back of the head, radius 1 on the outer surface of the brain.
Slice height is a fraction of the head's height, 0 in the middle of the patient's lesion.
"""

import csv
import math
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.records import PHANTOM_MARK

STROKE_PHANTOM_VERSION = 2  # raise when pixels change: cached copies are keyed by it

Floats = NDArray[np.floating[Any]]

_PARTS = ("train", "test")
_FOLDERS = {  # (part, has_stroke) -> CT folder, MR folder; the spelling changes between the parts, as in the real set
    ("train", True): ("deep/train/1- Stroke/StrokeBT", "deep/train/1- Stroke/StrokeMR"),
    ("train", False): ("deep/train/2- Control/NormalBT", "deep/train/2- Control/NormalMR"),
    ("test", True): ("deep/test/strokeBT", "deep/test/strokeMR"),
    ("test", False): ("deep/test/normalBT", "deep/test/normalMR"),
}
_FOLD_GRID_PX = 64
_FOLD_GRID_REACH = 1.3  # the fold grid spans [-reach, reach] in u and v
_SKULL_RADIUS, _SCALP_RADIUS = 1.10, 1.19


class _Modality(IntEnum):
    CT = 0
    MR = 1


class _Stream(IntEnum):
    """Last part of a spawn key: adding a draw to one stream leaves the others as they were."""

    HEAD = 0
    LESION = 1
    SCAN = 2
    SLICE = 3
    WALK = 4


@dataclass(frozen=True, kw_only=True)
class _Head:
    outer_fraction: float  # scalp half length / short side of the canvas
    width_ratio: float
    egg: float  # how much wider the back is than the front
    dent: tuple[float, float]  # amplitude and phase (rad) of a three-lobed deviation from the ellipse
    ventricle_scale: float
    sulcus_width: float
    level: float  # height of the middle slice above the ventricles' fullest slice
    folds: Floats  # [2, G, G], two independent noise fields; their mix turns with slice height


@dataclass(frozen=True, kw_only=True)
class _Lesion:
    """An ellipse in (radius, angle): a wedge when near the rim, an oval when deep."""

    radius: float
    angle_rad: float
    half_depth: float
    half_angle_rad: float
    ct_hu: float  # added to the tissue; a bleed is positive
    mr_level: float


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One session on one scanner: shared by the slices of one patient and modality."""

    rotation_rad: float
    shift_fraction: tuple[float, float]
    bias_xy: tuple[float, float]
    noise: float
    lowest_hu: float  # CT display window
    shown_hu: float
    mr_mean: float  # MR display gain is set by the picture's mean, as an automatic window does
    csf_level: float  # MR only: dark as in diffusion-weighted images, or bright as in T2
    scalp_level: float
    table_gap_fraction: float  # CT only: patient table below the head


@dataclass(frozen=True, kw_only=True)
class _Anatomy:
    """Soft maps of one slice, each [H, W] in [0, 1]."""

    brain: Floats
    skull: Floats
    scalp: Floats
    csf: Floats
    grey: Floats
    lesion: Floats


def _rng(seed: int, *path: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def _even_draw(seed: int, part: int, k: int, quantity: int) -> float:
    """In [0, 1): golden-ratio steps from a random start, one walk per class.

    Plain draws for a few dozen patients would often tell the classes apart by head size or brightness, by chance alone.
    """
    start = _rng(seed, part, k % 2, _Stream.WALK, quantity).random()
    return (start + k // 2 * (math.sqrt(5) - 1) / 2) % 1


def _draw_head(rng: np.random.Generator, size: float) -> _Head:
    noise_2GG = rng.standard_normal((2, _FOLD_GRID_PX, _FOLD_GRID_PX)).astype(np.float32)
    noise_2GG += 0.8 * noise_2GG[:, :, ::-1]  # hemispheres resemble each other
    folds_2GG = np.stack([cv2.GaussianBlur(noise_GG, (0, 0), 1.5) for noise_GG in noise_2GG])
    return _Head(
        outer_fraction=0.41 + 0.07 * size,
        width_ratio=rng.uniform(0.76, 0.88),
        egg=rng.uniform(0.04, 0.12),
        dent=(rng.uniform(0.0, 0.02), rng.uniform(0.0, 2 * math.pi)),
        ventricle_scale=rng.uniform(0.7, 1.35),
        sulcus_width=rng.uniform(0.10, 0.28),
        level=rng.uniform(0.0, 0.5),
        folds=(folds_2GG / folds_2GG.std(axis=(1, 2), keepdims=True)).astype(np.float32),
    )


def _draw_lesion(rng: np.random.Generator) -> _Lesion:
    is_bleed = rng.random() < 0.25
    toward_back_rad = rng.uniform(-1.1, 1.1)
    return _Lesion(
        radius=rng.uniform(0.40, 0.60) if is_bleed else rng.uniform(0.55, 0.75),
        angle_rad=toward_back_rad if rng.random() < 0.5 else math.pi - toward_back_rad,
        half_depth=rng.uniform(0.18, 0.26) if is_bleed else rng.uniform(0.26, 0.38),
        half_angle_rad=rng.uniform(0.40, 0.60) if is_bleed else rng.uniform(0.42, 0.68),
        ct_hu=rng.uniform(26, 40) if is_bleed else rng.uniform(-26, -17),
        mr_level=rng.uniform(0.32, 0.46),
    )


def _draw_scan(rng: np.random.Generator, modality: _Modality, brightness: float) -> _Scan:
    is_ct = modality is _Modality.CT
    dx, dy, bias_x, bias_y = rng.uniform(-1, 1, size=4).tolist()  # numpy floats would turn float32 maps into float64
    return _Scan(
        rotation_rad=math.radians(rng.uniform(-12, 12)),
        shift_fraction=(0.02 * dx, 0.02 * dy),
        bias_xy=(0.2 * bias_x, 0.2 * bias_y),
        noise=rng.uniform(2.0, 4.5) if is_ct else rng.uniform(0.02, 0.04),
        lowest_hu=-3 - 6 * brightness,
        shown_hu=rng.uniform(70, 85),
        mr_mean=0.14 + 0.08 * brightness,
        csf_level=rng.uniform(0.75, 0.9) if rng.random() < 0.1 else rng.uniform(0.10, 0.25),
        scalp_level=rng.uniform(0.3, 0.6),
        table_gap_fraction=rng.uniform(0.01, 0.08),
    )


def _within(signed_distance_HW: Floats, softness: float = 0.03) -> Floats:
    """1 where the distance is below zero, 0 above, a ramp of the given width between (partial volume)."""
    return np.asarray(np.clip(0.5 - signed_distance_HW / softness, 0, 1), dtype=np.float32)


def _head_coordinates(
    head: _Head, scan: _Scan, canvas_hw: tuple[int, int], height: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """u, v, radius and angle (rad, 0 to the right, positive to the back) of every pixel."""
    rows, columns = canvas_hw
    y_HW, x_HW = np.mgrid[:rows, :columns].astype(np.float32)
    half_length_px = head.outer_fraction * min(canvas_hw) / _SCALP_RADIUS * (1 - 0.15 * (head.level + height) ** 2)
    x_HW = (x_HW - columns * (0.5 + scan.shift_fraction[0])) / half_length_px
    y_HW = (y_HW - rows * (0.5 + scan.shift_fraction[1])) / half_length_px
    cos, sin = math.cos(scan.rotation_rad), math.sin(scan.rotation_rad)
    v_HW = cos * y_HW - sin * x_HW
    u_HW = (cos * x_HW + sin * y_HW) / (head.width_ratio * (1 + head.egg * np.clip(v_HW, -1.2, 1.2)))
    angle_HW = np.arctan2(v_HW, u_HW)
    radius_HW = np.hypot(u_HW, v_HW) * (1 + head.dent[0] * np.cos(3 * angle_HW + head.dent[1]))
    return u_HW, v_HW, radius_HW, angle_HW


def _folds(head: _Head, u_HW: Floats, v_HW: Floats, height: float) -> Floats:
    """Noise of unit variance; sulci run along its zero lines."""
    turn_rad = 1.5 * height
    mixed_GG = math.cos(turn_rad) * head.folds[0] + math.sin(turn_rad) * head.folds[1]
    to_grid = (_FOLD_GRID_PX - 1) / (2 * _FOLD_GRID_REACH)
    u_grid_HW, v_grid_HW = (u_HW + _FOLD_GRID_REACH) * to_grid, (v_HW + _FOLD_GRID_REACH) * to_grid
    folds_HW = cv2.remap(mixed_GG, u_grid_HW, v_grid_HW, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(folds_HW, dtype=np.float32)


def _ventricles(head: _Head, u_HW: Floats, v_HW: Floats, height: float) -> Floats:
    """Frontal and occipital horns (arcs, mirrored) and the slit between them."""
    scale = head.ventricle_scale * (1 - 0.6 * (head.level + height))
    side_HW = np.abs(u_HW)
    horns_HW = np.full_like(u_HW, np.inf)
    for u_start, v_start, u_end, v_end, width in ((0.17, -0.36, 0.08, 0.0, 0.06), (0.08, 0.0, 0.26, 0.38, 0.05)):
        du, dv = u_end - u_start, v_end - v_start
        along_HW = np.clip(((side_HW - u_start) * du + (v_HW - v_start) * dv) / (du**2 + dv**2), 0, 1)
        gap_HW = np.hypot(side_HW - u_start - along_HW * du, v_HW - v_start - along_HW * dv)
        horns_HW = np.minimum(horns_HW, gap_HW - width * scale)
    slit_HW = np.maximum(side_HW - 0.02 * scale, np.abs(v_HW - 0.06) - 0.12)
    return _within(np.minimum(horns_HW, slit_HW))


def _anatomy(head: _Head, lesion: _Lesion | None, scan: _Scan, canvas_hw: tuple[int, int], height: float) -> _Anatomy:
    u_HW, v_HW, radius_HW, angle_HW = _head_coordinates(head, scan, canvas_hw, height)
    folds_HW = _folds(head, u_HW, v_HW, height)
    brain_HW = _within(radius_HW - 1)
    inside_skull_HW = _within(radius_HW - _SKULL_RADIUS)
    ventricles_HW = _ventricles(head, u_HW, v_HW, height)
    rim_HW = np.clip((radius_HW - 0.45) / 0.35, 0, 1)
    sulci_HW = rim_HW * np.exp(-((folds_HW / head.sulcus_width) ** 2))
    fissure_HW = _within(np.abs(u_HW + 0.01 * folds_HW) - 0.015) * np.clip((np.abs(v_HW) - 0.45) / 0.1, 0, 1)
    outer_csf_HW = np.clip((radius_HW - 0.95) / 0.05, 0, 1)
    csf_HW = np.maximum.reduce([ventricles_HW, 0.8 * sulci_HW, 0.7 * fissure_HW, 0.6 * outer_csf_HW])
    nuclei_HW = _within(np.hypot((np.abs(u_HW) - 0.30) / 0.14, v_HW / 0.26) - 1, 0.5)
    grey_HW = np.maximum(rim_HW * np.exp(-((folds_HW / 0.6) ** 2)), nuclei_HW)
    lesion_HW = np.zeros_like(u_HW)
    if lesion is not None:
        extent = 1 / (1 + (height / 0.5) ** 2)  # never zero: the lesion is on every slice
        turned_HW = np.abs((angle_HW - lesion.angle_rad + math.pi) % (2 * math.pi) - math.pi)
        depth_HW = (radius_HW - lesion.radius) / lesion.half_depth
        ellipse_HW = np.hypot(depth_HW, turned_HW / lesion.half_angle_rad) - extent + 0.08 * folds_HW
        lesion_HW = _within(ellipse_HW, 0.25) * brain_HW * (1 - ventricles_HW)
    return _Anatomy(
        brain=brain_HW,
        skull=inside_skull_HW - brain_HW,
        scalp=_within(radius_HW - _SCALP_RADIUS) - inside_skull_HW,
        csf=csf_HW,
        grey=grey_HW,
        lesion=lesion_HW,
    )


def _ct_picture(anatomy: _Anatomy, lesion: _Lesion | None, scan: _Scan, rng: np.random.Generator) -> Floats:
    """Hounsfield units through the display window, in [0, 1] before clipping; bone is far above the window."""
    canvas_hw = anatomy.brain.shape
    tissue_HW = 27 + 9 * anatomy.grey + (lesion.ct_hu if lesion else 0.0) * anatomy.lesion
    tissue_HW += (6 - tissue_HW) * anatomy.csf
    tissue_HW += scan.bias_xy[0] * np.linspace(-10, 10, canvas_hw[1])  # beam hardening, cupping
    hu_HW = -100 + (tissue_HW + 100) * anatomy.brain + 1000 * anatomy.skull
    hu_HW += (100 + 60 * (scan.scalp_level - 0.4)) * anatomy.scalp
    y_HW, x_HW = np.mgrid[: canvas_hw[0], : canvas_hw[1]] / min(canvas_hw) - 0.5
    table_HW = np.abs(np.hypot(x_HW, y_HW) - 0.5 - scan.table_gap_fraction) < 0.008
    hu_HW[table_HW & (y_HW > 0.2) & (anatomy.scalp == 0)] = 150
    grain_HW = cv2.GaussianBlur(rng.standard_normal(canvas_hw).astype(np.float32), (0, 0), 0.6)
    hu_HW += 2 * scan.noise * grain_HW  # the blur halves the deviation
    return np.asarray((hu_HW - scan.lowest_hu) / scan.shown_hu, dtype=np.float32)


def _mr_picture(anatomy: _Anatomy, lesion: _Lesion | None, scan: _Scan, rng: np.random.Generator) -> Floats:
    """Signal magnitude with coil shading and Rician noise; spots of fat reach white, so the maximum tells nothing."""
    canvas_hw = anatomy.brain.shape
    tissue_HW = 0.40 + 0.12 * anatomy.grey + (lesion.mr_level if lesion else 0.0) * anatomy.lesion
    tissue_HW += (scan.csf_level - tissue_HW) * anatomy.csf
    fat_HW = cv2.resize(rng.random((12, 12), dtype=np.float32), canvas_hw[::-1], interpolation=cv2.INTER_CUBIC)
    signal_HW = tissue_HW * anatomy.brain + 0.05 * anatomy.skull
    signal_HW += scan.scalp_level * (0.4 + 4 * fat_HW**4) * anatomy.scalp
    ramp_H1, ramp_1W = np.linspace(-1, 1, canvas_hw[0])[:, None], np.linspace(-1, 1, canvas_hw[1])[None]
    signal_HW *= 1 + scan.bias_xy[0] * ramp_1W + scan.bias_xy[1] * ramp_H1
    real_HW, imaginary_HW = scan.noise * rng.standard_normal((2, *canvas_hw), dtype=np.float32)
    magnitude_HW = np.hypot(signal_HW + real_HW, imaginary_HW)
    return np.asarray(magnitude_HW * (scan.mr_mean / magnitude_HW.mean()), dtype=np.float32)


def _write_picture(path_without_suffix: Path, picture_HW: Floats, rng: np.random.Generator) -> Path:
    """JPEG as RGB or PNG as RGBA, the two forms of the real set."""
    grey = Image.fromarray((np.clip(picture_HW, 0, 1) * 255).round().astype(np.uint8))
    as_png = rng.random() < 0.5
    path = path_without_suffix.with_name(path_without_suffix.name + (".png" if as_png else ".jpg"))
    if as_png:
        grey.convert("RGBA").save(path, compress_level=1)
    else:
        grey.convert("RGB").save(path, quality=90)
    return path


def _write_patient(folder: Path, *, part: int, k: int, num_slices: int, seed: int, image_px: int) -> list[Path]:
    has_stroke = k % 2 == 0
    head = _draw_head(_rng(seed, part, k, _Stream.HEAD), _even_draw(seed, part, k, 0))
    lesion = _draw_lesion(_rng(seed, part, k, _Stream.LESION)) if has_stroke else None
    pictures = []
    for modality, relative in zip(_Modality, _FOLDERS[_PARTS[part], has_stroke], strict=True):
        brightness = _even_draw(seed, part, k, 1 + modality)
        scan = _draw_scan(_rng(seed, part, k, _Stream.SCAN, modality), modality, brightness)
        for i in range(num_slices):
            rng = _rng(seed, part, k, _Stream.SLICE, modality, i)
            rows, columns = (round(image_px * side) for side in rng.uniform(0.94, 1.06, size=2))
            canvas_hw = (rows, columns if columns != rows else columns + 1)  # never square, as in the real set
            step = (i + 1) // 2 * (-1) ** i  # 0, -1, 1, -2, ...
            height = 0.5 * math.tanh(0.24 * step) + rng.uniform(-0.03, 0.03)
            anatomy = _anatomy(head, lesion, scan, canvas_hw, height)
            draw = _ct_picture if modality is _Modality.CT else _mr_picture
            name = f"{1 if has_stroke else 2}_{modality + 1} ({k // 2 * num_slices + i + 1})"
            pictures.append(_write_picture(folder / relative / name, draw(anatomy, lesion, scan, rng), rng))
            if has_stroke:
                mask = Image.fromarray(np.where(anatomy.lesion > 0.5, 255, 0).astype(np.uint8))
                mask.save(folder / "masks" / relative / f"{name}.png")
    return pictures


def write_stroke_phantom(
    folder: Path,
    *,
    train_patients: int,
    test_patients: int,
    slices_per_modality: int = 2,
    seed: int = 0,
    image_px: int = 192,
) -> None:
    """Write deep/ (the real layout), masks/ (0 or 255, stroke images only) and patients.csv into an empty folder.

    Patients alternate stroke, control. Patient k of a part is the same head for every number of patients. image_px is
    the mean canvas side; sides vary by 6 %.
    """
    for (_, has_stroke), relatives in _FOLDERS.items():
        for relative in relatives:
            (folder / relative).mkdir(parents=True)
            if has_stroke:
                (folder / "masks" / relative).mkdir(parents=True)
    rows = [("path", "patient_id")]
    for part, num_patients in enumerate((train_patients, test_patients)):
        for k in range(num_patients):
            pictures = _write_patient(
                folder, part=part, k=k, num_slices=slices_per_modality, seed=seed, image_px=image_px
            )
            rows += [(path.relative_to(folder).as_posix(), f"{_PARTS[part]}_{k:03d}") for path in pictures]
    (folder / PHANTOM_MARK).write_text(f"stroke phantom version {STROKE_PHANTOM_VERSION}, seed {seed}\n")
    with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
