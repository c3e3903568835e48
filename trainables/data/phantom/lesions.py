"""Lesions: where they sit and what they are made of, in head coordinates (head.py)."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from trainables.data.phantom.anatomy import Layers, Tissue
from trainables.data.phantom.head import Floats, Frame, pushed, within


class Kind(IntEnum):
    """What the lesion is."""

    INFARCT = 0
    BLEED = 1
    GLIOMA = 2
    MENINGIOMA = 3
    PITUITARY = 4


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A blob with a frayed edge around a centre; every slice of its patient cuts it."""

    kind: Kind
    centre_uv: tuple[float, float]
    height: float
    radius: float
    stretch: tuple[float, float]  # axis ratio, and its direction (rad)
    fray: float
    core: float  # gliomas: radius of the dead core, as a fraction
    oedema: float  # width of the swelling around it, as a fraction of the radius
    strength: float  # how much of the tissue is replaced

    @property
    def push(self) -> float:
        """Return how strongly the brain around is pushed aside."""
        return 0.0 if self.kind is Kind.INFARCT else 0.35 if self.kind is Kind.BLEED else 0.5


def draw_stroke(rng: np.random.Generator, height: float) -> Lesion:
    """Return an infarct in a territory near the surface, or a bleed deep inside."""
    is_bleed = rng.random() < 0.5
    angle_rad = rng.uniform(0.5, 2.7) * rng.choice([-1, 1])
    out = rng.uniform(0.36, 0.58) if is_bleed else rng.uniform(0.66, 0.82)
    return Lesion(
        kind=Kind.BLEED if is_bleed else Kind.INFARCT,
        centre_uv=_at(out, angle_rad),
        height=height,
        radius=rng.uniform(0.23, 0.31) if is_bleed else rng.uniform(0.28, 0.38),
        stretch=(rng.uniform(0.75, 1.0), rng.uniform(0, math.pi)),
        fray=0.10 if is_bleed else 0.16,
        core=0.0,
        oedema=rng.uniform(0.15, 0.35) if is_bleed else 0.0,
        strength=rng.uniform(0.9, 1.0),
    )


def draw_tumor(rng: np.random.Generator, kind: Kind, height: float) -> Lesion:
    """Return a tumour of the kind, where that kind grows."""
    beside_skull_base = height < -0.2
    angle_rad = (rng.uniform(1.2, 2.7) if beside_skull_base else rng.uniform(0.35, 2.8)) * rng.choice([-1, 1])
    if kind is Kind.GLIOMA:
        centre_uv, radius = _at(rng.uniform(0.36, 0.62), angle_rad), rng.uniform(0.23, 0.33)
        fray, core, oedema = rng.uniform(0.12, 0.20), rng.uniform(0.0, 0.75), rng.uniform(0.5, 1.0)
    elif kind is Kind.MENINGIOMA:
        radius = rng.uniform(0.22, 0.32)
        at_falx = not beside_skull_base and rng.random() < 0.3
        falx_uv = (float(rng.choice([-1, 1])) * radius * 0.85, float(rng.choice([-1, 1])) * rng.uniform(0.5, 0.7))
        centre_uv = falx_uv if at_falx else _at(0.98 - 0.75 * radius, angle_rad)
        fray, core, oedema = 0.03, 0.0, max(0.0, rng.uniform(-0.3, 0.4))
    else:
        centre_uv, radius = (rng.uniform(-0.03, 0.03), -0.14 + rng.uniform(-0.03, 0.03)), rng.uniform(0.16, 0.23)
        fray, core, oedema = 0.05, 0.0, 0.0
    return Lesion(
        kind=kind,
        centre_uv=centre_uv,
        height=height,
        radius=radius,
        stretch=(rng.uniform(0.8, 1.0), rng.uniform(0, math.pi)),
        fray=fray,
        core=core,
        oedema=oedema,
        strength=rng.uniform(0.9, 1.0),
    )


def displaced(frame: Frame, lesion: Lesion | None) -> Frame:
    """Return the frame after the lesion's mass effect."""
    if lesion is None or not lesion.push:
        return frame
    return pushed(frame, lesion.centre_uv, 2.0 * lesion.radius, lesion.push)


def lesion_map(lesion: Lesion, frame: Frame, height: float) -> Floats:
    """Return how much of a pixel is the lesion itself, without the swelling around it."""
    return within(_distance(lesion, frame, height) - 1, 0.15)


def lesion_layers(lesion: Lesion, frame: Frame, height: float) -> Layers:
    """Return swelling first, then the lesion; the outline of the brain is applied by the caller."""
    distance = _distance(lesion, frame, height)
    whole = lesion.strength * within(distance - 1, 0.15)
    fingers = distance + 0.12 * np.sin(9 * frame.angle_rad + 4 * frame.chaos[1]) + 0.15 * frame.chaos[0]
    layers: Layers = [(Tissue.OEDEMA, 0.9 * within(fingers - 1 - lesion.oedema, 0.4))] if lesion.oedema > 0 else []
    if lesion.kind is Kind.INFARCT:
        return [*layers, (Tissue.INFARCT, whole)]
    if lesion.kind is Kind.BLEED:
        return [*layers, (Tissue.BLOOD, whole)]
    if lesion.kind is Kind.MENINGIOMA:
        tail = within(np.abs(frame.radius - 0.985) - 0.012, 0.02) * within(distance - 1.7, 0.4)
        return [*layers, (Tissue.DURA, tail), (Tissue.MENINGIOMA, whole)]
    if lesion.kind is Kind.PITUITARY:
        return [*layers, (Tissue.ADENOMA, whole)]
    patches = within(-frame.chaos[0] - 0.3, 0.8)
    core = within(distance + 0.12 * frame.chaos[1] - lesion.core, 0.12)
    return [
        *layers,
        (Tissue.GLIOMA, whole),
        (Tissue.RIM, whole * np.maximum(patches, within(np.abs(distance - lesion.core - 0.12) - 0.12, 0.1))),
        (Tissue.NECROSIS, lesion.strength * core * (lesion.core > 0.2)),
    ]


def _at(out: float, angle_rad: float) -> tuple[float, float]:
    return out * math.sin(angle_rad), -out * math.cos(angle_rad)


def _distance(lesion: Lesion, frame: Frame, height: float) -> Floats:
    """Return 1 on the edge; off the middle the lesion shrinks, but to no less than 60 %."""
    radius = lesion.radius * math.sqrt(max(0.36, 1 - ((height - lesion.height) / (1.2 * lesion.radius)) ** 2))
    fray = lesion.fray * (frame.chaos[0] + 0.5 * frame.chaos[1])
    ratio, turn_rad = lesion.stretch
    if lesion.kind is Kind.INFARCT:  # a wedge: the territory of an artery
        out, angle_rad = math.hypot(*lesion.centre_uv), math.atan2(lesion.centre_uv[0], -lesion.centre_uv[1])
        turned = out * np.abs((frame.angle_rad - angle_rad + math.pi) % (2 * math.pi) - math.pi)
        inwards = np.abs(frame.radius - out) / ratio
        return np.asarray((inwards**4 + turned**4) ** 0.25 / radius + fray)
    du, dv = frame.u - lesion.centre_uv[0], frame.v - lesion.centre_uv[1]
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    long, short = cos * du + sin * dv, (cos * dv - sin * du) / ratio
    return np.asarray(np.hypot(long, short) / radius + fray)
