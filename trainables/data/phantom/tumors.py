"""What the three tumour sets share: at which height a patient is scanned, and which tumour grows there."""

import numpy as np

from trainables.data.phantom.draws import Draws, Stream, Walk
from trainables.data.phantom.lesions import Kind, draw_tumor
from trainables.data.phantom.patients import Patient, draw_patient

BASE_HEIGHTS = (-0.44, -0.35)  # sella and midbrain
UPPER_HEIGHTS = (-0.05, 0.55)  # basal ganglia to above the ventricles
_KINDS_AT_BASE = (Kind.PITUITARY, Kind.PITUITARY, Kind.MENINGIOMA, Kind.GLIOMA)
_KINDS_ABOVE = (Kind.GLIOMA, Kind.GLIOMA, Kind.MENINGIOMA)


def draw_height(draws: Draws, base_share: float) -> float:
    """Return the height of a patient's middle slice; `base_share` of the patients are scanned at the skull base."""
    share = draws.even(Walk.LEVEL)
    if share < base_share:
        return float(np.interp(share, (0, base_share), BASE_HEIGHTS))
    return float(np.interp(share, (base_share, 1), UPPER_HEIGHTS))


def draw_kind(draws: Draws, height: float) -> Kind:
    """Return a tumour that grows at this height."""
    kinds = _KINDS_AT_BASE if height < BASE_HEIGHTS[1] + 0.01 else _KINDS_ABOVE
    return kinds[int(draws.rng(Stream.LESION, 1).integers(len(kinds)))]


def draw_tumor_patient(draws: Draws, height: float, kind: Kind | None) -> Patient:
    """Return a patient with a tumour, or without one."""
    return draw_patient(draws, None if kind is None else draw_tumor(draws.rng(Stream.LESION), kind, height))
