"""Synthetic heads with planted findings, one set per task, each in the layout of the task's real set.

Demo data, test data and ground truth for heatmaps; not models of disease. Every set also holds masks/ and patients.csv.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainables.data.phantom.alzheimer import write_alzheimer_phantom
from trainables.data.phantom.ct_mri_combination import SHOWN_IN, write_ct_mri_combination_phantom
from trainables.data.phantom.stroke import write_stroke_phantom
from trainables.data.phantom.tumor_4class import write_tumor_4class_phantom
from trainables.data.phantom.tumor_binary import write_tumor_binary_phantom
from trainables.data.phantom.tumor_ct_mri import write_tumor_ct_mri_phantom

PHANTOM_VERSION = 4  # raise when files change: cached copies are keyed by it


def _split(write: Callable[..., None]) -> Callable[[Path, int, int], None]:
    def write_set(folder: Path, patients: int, seed: int) -> None:
        test = num_test_patients(patients)
        write(folder, train_patients=patients - test, test_patients=test, seed=seed)

    return write_set


def _unsplit(write: Callable[..., None]) -> Callable[[Path, int, int], None]:
    def write_set(folder: Path, patients: int, seed: int) -> None:
        write(folder, patients=patients, seed=seed)

    return write_set


def num_test_patients(patients: int) -> int:
    """Return how many of a set's patients are test patients where the layout has a split: two ninths, four at least."""
    return max(4, round(patients * 2 / 9))


PHANTOMS: Mapping[str, Callable[[Path, int, int], None]] = {  # task -> write(folder, patients, seed)
    "stroke": _split(write_stroke_phantom),
    "tumor_binary": _unsplit(write_tumor_binary_phantom),
    "tumor_4class": _split(write_tumor_4class_phantom),
    "alzheimer": _split(write_alzheimer_phantom),
    "tumor_ct_mri": _unsplit(write_tumor_ct_mri_phantom),
}
STANDARD = "standard"


@dataclass(frozen=True)
class Variant:
    """Another phantom of a task, by its name; patients come in multiples of `patients_step`."""

    write: Callable[[Path, int, int], None]  # folder, patients, seed
    patients_step: int


VARIANTS: Mapping[str, Mapping[str, Variant]] = {  # task -> name -> what there is besides the standard one
    "tumor_ct_mri": {"combination": Variant(_unsplit(write_ct_mri_combination_phantom), len(SHOWN_IN))},
}
__all__ = [
    "PHANTOMS",
    "PHANTOM_VERSION",
    "STANDARD",
    "VARIANTS",
    "Variant",
    "write_alzheimer_phantom",
    "write_ct_mri_combination_phantom",
    "write_stroke_phantom",
    "write_tumor_4class_phantom",
    "write_tumor_binary_phantom",
    "write_tumor_ct_mri_phantom",
]
