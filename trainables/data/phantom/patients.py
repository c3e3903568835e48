"""One patient: a head, perhaps a lesion, and the slices that scanners take of it."""

from dataclasses import dataclass

import numpy as np

from trainables.data.phantom.anatomy import Layers, brain_layers, brain_map, cover_layers, ventricle_map
from trainables.data.phantom.draws import Draws, Stream, Walk
from trainables.data.phantom.head import Floats, Frame, Head, draw_head, locate
from trainables.data.phantom.lesions import Kind, Lesion, displaced, lesion_layers, lesion_map
from trainables.data.phantom.scanners import Contrast, Scan, draw_scan, picture


@dataclass(frozen=True, kw_only=True)
class Slice:
    """picture_HW in [0, 1] before clipping, and where the lesion is."""

    picture: Floats
    mask: Floats | None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What all slices of one person share."""

    draws: Draws
    head: Head
    lesion: Lesion | None

    def scan(self, contrast: Contrast) -> Scan:
        """Return this patient's session on a scanner; brightness is spread evenly over the patients of a class."""
        is_ct = contrast is Contrast.CT
        brightness = self.draws.even(Walk.CT_BRIGHTNESS if is_ct else Walk.MR_BRIGHTNESS)
        grain = self.draws.even(Walk.CT_NOISE if is_ct else Walk.MR_NOISE)
        return draw_scan(self.draws.rng(Stream.SCAN, int(not is_ct)), contrast, brightness, grain)

    def slice(self, scan: Scan, height: float, canvas_hw: tuple[int, int], rng: np.random.Generator) -> Slice:
        """Scan one slice."""
        frame = locate(self.head, scan.pose(canvas_hw), height)
        layers = head_layers(self.head, self.lesion, frame, height)
        mask = None
        if self.lesion is not None:
            mask = lesion_map(self.lesion, frame, height) * _room(self.head, self.lesion, frame, height)
        return Slice(picture=picture(layers, scan, rng), mask=mask)


def draw_patient(draws: Draws, lesion: Lesion | None) -> Patient:
    """Return a person whose head does not depend on the lesion."""
    head = draw_head(draws.rng(Stream.HEAD), draws.even(Walk.SIZE))
    return Patient(draws=draws, head=head, lesion=lesion)


def head_layers(head: Head, lesion: Lesion | None, frame: Frame, height: float) -> Layers:
    """Return all tissues of a slice, the lesion and what it pushes aside included."""
    brain = brain_map(head, frame, height)
    inside = brain_layers(head, displaced(frame, lesion), height)
    if lesion is not None:
        room = _room(head, lesion, frame, height)
        inside += [(tissue, cover * room) for tissue, cover in lesion_layers(lesion, frame, height)]
    return [*cover_layers(head, frame, height), *((tissue, cover * brain) for tissue, cover in inside)]


def slice_height(middle: float, i: int, rng: np.random.Generator) -> float:
    """Return the height of slice i: neighbours of the middle, alternately above and below, never far from it."""
    step = (i + 1) // 2 * (-1) ** i  # 0, -1, 1, -2, ...
    return float(middle + 0.12 * np.tanh(0.4 * step) + rng.uniform(-0.01, 0.01))


def canvas(rng: np.random.Generator, image_px: int) -> tuple[int, int]:
    """Return rows and columns: sides vary by 6 %, never square."""
    rows, columns = (round(image_px * side) for side in rng.uniform(0.94, 1.06, size=2))
    return rows, columns if columns != rows else columns + 1


def _room(head: Head, lesion: Lesion, frame: Frame, height: float) -> Floats:
    """Return where the lesion can be: inside the brain; an infarct spares the ventricles, a mass pushes them aside."""
    brain = brain_map(head, frame, height)
    return brain * (1 - ventricle_map(head, frame, height)) if lesion.kind is Kind.INFARCT else brain
