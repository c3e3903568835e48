"""What tissue lies where on an axial slice, before any lesion and any scanner; coordinates are those of head.py."""

from enum import IntEnum, auto

import numpy as np

from trainables.data.phantom.head import (
    Floats,
    Frame,
    Head,
    fold_map,
    ramp,
    segment_gap,
    segment_share,
    within,
)


class Tissue(IntEnum):
    """What a scanner turns into grey levels."""

    FAT = 0
    MUSCLE = auto()
    BONE = auto()
    MARROW = auto()
    AIR = auto()
    WHITE = auto()
    GREY = auto()
    DEEP_GREY = auto()
    CSF = auto()
    DURA = auto()
    VESSEL = auto()
    EYE = auto()
    CALCIUM = auto()
    INFARCT = auto()
    BLOOD = auto()
    OEDEMA = auto()
    NECROSIS = auto()
    RIM = auto()
    GLIOMA = auto()
    MENINGIOMA = auto()
    ADENOMA = auto()


Layers = list[tuple[Tissue, Floats]]  # painted in order; each map [H, W] in [0, 1] is how much it covers


def brain_map(head: Head, frame: Frame, height: float) -> Floats:
    """Return how much of a pixel is inside the brain's outline; below the forehead it gives way to the orbits."""
    edge = 1 - 0.30 * ramp(height, -0.22, -0.38) * np.clip((-frame.v - 0.35) / 0.35, 0, 1)
    return within(frame.radius - edge)


def brain_layers(head: Head, frame: Frame, height: float) -> Layers:
    """Return the tissues of the brain, painted without regard to its outline."""
    folds = fold_map(head, frame, height)
    depth = np.clip((frame.radius - 1 + head.sulcus_depth + 0.06 * frame.chaos[0]) / 0.12, 0, 1)
    sulci = depth * np.exp(-((folds / head.sulcus_width) ** 2))
    ribbon = np.clip((frame.radius - 0.90 + 0.03 * frame.chaos[0]) / 0.04, 0, 1)
    grey = np.maximum(np.clip(depth * 2, 0, 1) * np.exp(-((folds / head.cortex_width) ** 4)), ribbon)
    csf = np.maximum.reduce(
        [ventricle_map(head, frame, height), 0.85 * sulci, _fissures(frame, height), 0.6 * within(0.985 - frame.radius)]
    )
    layers: Layers = [
        (Tissue.WHITE, np.ones_like(grey)),
        (Tissue.GREY, grey),
        (Tissue.DEEP_GREY, _nuclei(frame, height)),
    ]
    base = ramp(height, -0.22, -0.36)
    layers += _posterior_fossa(frame, base) if base else []
    layers.append((Tissue.CSF, csf))
    layers += _skull_base(frame, base, height) if base else _falx(frame, height)
    for radius, side in zip(head.calcium, (-1, 1), strict=True):
        if radius > 0 and -0.1 < height < 0.25:
            layers.append((Tissue.CALCIUM, within(np.hypot(frame.u - side * 0.24, frame.v - 0.33) - radius)))
    layers.append((Tissue.VESSEL, within(np.hypot(frame.u / 0.09, (frame.v - 0.99) / 0.05) - 1, 0.4)))
    return layers


def cover_layers(head: Head, frame: Frame, height: float) -> Layers:
    """Return what lies around the brain, outside in; paint the brain on top of it."""
    front = np.clip(-frame.v, 0, 1)
    skull_radius = head.skull_radius + 0.03 * front**3 + 0.01 * frame.chaos[1]
    outer = within(frame.radius - head.scalp_radius - 0.03 * np.clip(frame.v, 0, 1))
    skull = within(frame.radius - skull_radius)
    temple = within(np.hypot((np.abs(frame.u) - 1.08) / 0.1, (frame.v + 0.25) / 0.4) - 1, 0.2)
    diploe = within(np.abs(frame.radius - (1 + skull_radius) / 2) - 0.012, 0.02)
    layers: Layers = [(Tissue.FAT, outer), (Tissue.MUSCLE, outer * temple), (Tissue.BONE, skull)]
    layers.append((Tissue.MARROW, diploe * skull))
    base = ramp(height, -0.22, -0.38)
    if base:
        face = base * skull * within(frame.v + 0.42 + 0.25 * frame.u**2, 0.05) * within(frame.radius - 1.04)
        side = np.abs(frame.u)
        layers.append((Tissue.FAT, face * within(0.16 - side)))
        layers.append((Tissue.AIR, face * within(np.maximum(side - 0.14, np.abs(np.sin(14 * frame.v)) * 0.1 - 0.09))))
        layers.append((Tissue.EYE, face * within(np.hypot(side - 0.40, frame.v + 0.86) - 0.17)))
        layers.append((Tissue.MUSCLE, face * within(segment_gap(side, frame.v, (0.37, -0.68), (0.22, -0.40)) - 0.025)))
    elif height < 0.05:
        sinus = np.hypot((np.abs(frame.u) - 0.12) / 0.13, (frame.v + 1.035) / 0.028)
        layers.append((Tissue.AIR, within(sinus - 1 - 3 * height, 0.3)))
    return layers


def ventricle_map(head: Head, frame: Frame, height: float) -> Floats:
    """Return how much of a pixel is lateral or third ventricle: horns apart below, bodies joined above."""
    scale = head.ventricle_scale * ramp(height, 0.62, 0.42) * ramp(height, -0.30, -0.15)
    if scale == 0:
        return np.zeros_like(frame.u)
    side = np.abs(frame.u) - 0.03 * (scale - 1) - 0.6 * frame.v**2  # curved like two brackets, back to back
    widths = 1 + head.asymmetry * np.sign(-frame.u)
    joined = ramp(height, 0.08, 0.25)
    body = 0.085 * joined - 0.025
    arcs = [  # start, end, width at both ends
        ((0.055, -0.10), (0.080, -0.38), 0.025, 0.058),
        ((0.170, 0.24), (0.140, 0.46), 0.052, 0.030),
        ((0.075, -0.12), (0.105, 0.10), body, body),
        ((0.105, 0.10), (0.170, 0.24), body, body),
    ]
    horns = np.full_like(frame.u, np.inf)
    for start, end, first, last in arcs:
        along = segment_share(side, frame.v, start, end)
        gap = segment_gap(side, frame.v, start, end)
        horns = np.minimum(horns, gap - (first + (last - first) * along) * scale * widths)
    third = np.maximum(np.abs(frame.u) - 0.022 * scale, np.abs(frame.v - 0.04) - 0.11 * (1 - joined))
    return within(np.minimum(horns, third + (0.05 if joined == 1 else 0.0)))


def _nuclei(frame: Frame, height: float) -> Floats:
    """Return caudate, lentiform nucleus and thalamus."""
    side, v = np.abs(frame.u), frame.v
    lentiform = np.hypot((side - 0.36 - 0.25 * (v + 0.05)) / 0.09, (v + 0.05) / 0.20)
    caudate = np.hypot((side - 0.215) / 0.055, (v + 0.27) / 0.11)
    thalamus = np.hypot((side - 0.13) / 0.10, (v - 0.13) / 0.15)
    fade = ramp(height, 0.30, 0.18) * ramp(height, -0.25, -0.12)
    return fade * within(np.minimum.reduce([lentiform, caudate, thalamus]) - 1, 0.3)


def _fissures(frame: Frame, height: float) -> Floats:
    """Return the gap between the hemispheres and the Sylvian fissures."""
    inner = 0.46 * ramp(height, 0.60, 0.35)
    middle = within(np.abs(frame.u + 0.012 * frame.chaos[1]) - 0.014) * np.clip((np.abs(frame.v) - inner) / 0.08, 0, 1)
    side = np.abs(frame.u) + 0.02 * frame.chaos[0]
    v = frame.v + 0.03 * frame.chaos[1]
    bend = (0.66, -0.16)
    cleft = np.minimum(segment_gap(side, v, (0.98, -0.28), bend), segment_gap(side, v, bend, (0.62, 0.12)))
    sylvian = ramp(height, 0.28, 0.12) * within(cleft - 0.014 - 0.02 * np.clip(side - 0.6, 0, 1), 0.04)
    return np.asarray(0.8 * np.maximum(middle, sylvian))


def _falx(frame: Frame, height: float) -> Layers:
    inner = 0.62 * ramp(height, 0.60, 0.35)
    line = within(np.abs(frame.u + 0.004 * frame.chaos[0]) - 0.005, 0.02)
    return [(Tissue.DURA, line * np.clip((np.abs(frame.v) - inner) / 0.05, 0, 1))]


def _posterior_fossa(frame: Frame, base: float) -> Layers:
    """Return midbrain, cisterns and the top of the cerebellum between the tentorial edges."""
    side, v = np.abs(frame.u), frame.v
    wedge = base * within(np.maximum(0.30 - v, side - 0.10 - 0.85 * (v - 0.30)), 0.06)
    folia = wedge * np.clip(0.5 + 0.6 * np.sin(38 * np.hypot(0.6 * side, v - 0.15) + frame.chaos[1]), 0, 1)
    tent = base * within(np.abs(side - 0.12 - 0.85 * (v - 0.30)) - 0.008, 0.03) * (v > 0.30) * (v < 0.95)
    lobes = 1 + 0.22 * np.cos(5 * np.arctan2(side, -(v + 0.14)))
    star = base * within(np.hypot(side, v + 0.14) - 0.17 * lobes, 0.05)
    ambient = base * within(np.hypot(side / 0.21, (v - 0.09) / 0.20) - 1, 0.15)
    legs = np.minimum(np.hypot(side / 0.16, (v - 0.14) / 0.12), np.hypot((side - 0.09) / 0.075, (v - 0.02) / 0.10))
    stem = base * within(legs - 1, 0.2)
    aqueduct = base * within(np.hypot(side, v - 0.19) - 0.018)
    return [
        (Tissue.WHITE, wedge),
        (Tissue.GREY, 0.8 * folia),
        (Tissue.DURA, tent),
        (Tissue.CSF, np.maximum(ambient, star)),
        (Tissue.DEEP_GREY, stem),
        (Tissue.CSF, aqueduct),
    ]


def _skull_base(frame: Frame, base: float, height: float) -> Layers:
    """Return sphenoid wings, petrous ridges and the carotid arteries beside the sella."""
    side, v = np.abs(frame.u), frame.v
    wing = base * within(segment_gap(side, v, (0.98, -0.50), (0.34, -0.34)) - 0.028)
    petrous = ramp(height, -0.36, -0.46) * within(segment_gap(side, v, (1.0, 0.34), (0.52, 0.16)) - 0.05)
    carotid = base * within(np.hypot(side - 0.12, v + 0.16) - 0.022)
    return [(Tissue.BONE, np.maximum(wing, petrous)), (Tissue.VESSEL, carotid)]
