"""Healthy or tumour, told by CT and MRI together only: tumour is where exactly one of the two shows the lesion.

A proof for models of two images: whoever looks at one of them, or adds up what each tells alone, stays at chance.
"""

import csv
import math
from pathlib import Path

import numpy as np

from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import JPEG_GREY, JPEG_RGB, SetFolder
from trainables.data.phantom.lesions import Kind, Lesion
from trainables.data.phantom.patients import canvas, draw_patient, slice_height
from trainables.data.phantom.scanners import Contrast
from trainables.data.phantom.tumors import draw_height

SHOWN_IN = ((True, False), (False, False), (False, True), (True, True))  # in CT, in MRI; patients run through these
MANIFEST = "manifest.csv"
_COLUMNS = ("path", "second_path", "label", "patient_id", "split")
# Of each seven rounds of patients; a round has one of every group, so that each side is balanced, too
_SIDES = ("training", "validation", "test", "training", "training", "training", "training")
_TREES = ("Dataset/Brain Tumor CT scan Images", "Dataset/Brain Tumor MRI images")
_STEMS = ("ct_head", "mri_head")  # the same in both classes
_CONTRASTS = (Contrast.CT, Contrast.FLAIR)  # blood is the brightest thing in the brain of either
_ENCODINGS = {JPEG_RGB: 0.8, JPEG_GREY: 0.2}


def write_ct_mri_combination_phantom(
    folder: Path, *, patients: int, slices_per_modality: int = 1, seed: int = 0, image_px: int = 192
) -> None:
    """Write Dataset/ (the real layout), masks/ (0 or 255, images that show a lesion), patients.csv and manifest.csv.

    Patients run through tumour (lesion in CT alone), healthy (in neither), tumour (MRI alone), healthy (both), so that
    half of either class shows one in each modality. Patient k is the same head for every number of patients; a number
    occurs once per class and modality. manifest.csv gives sides that are balanced alike: one that is drawn by class
    alone may hold more of one group. Raises ValueError for patients that are no multiple of four.
    """
    if patients % len(SHOWN_IN):
        raise ValueError(f"{patients} patients: must be a multiple of {len(SHOWN_IN)} to be balanced")
    target, rows = SetFolder(folder), [_COLUMNS]
    for k in range(patients):
        group = k % len(SHOWN_IN)
        # All four groups walk together: sizes, displays, noise and file types are the same in each.
        draws = Draws(seed=seed, task=Task.CT_MRI_COMBINATION, part=0, label=group, index=k // len(SHOWN_IN))
        middle = draw_height(draws, base_share=0.0)
        lesion = _draw_mass(draws.rng(Stream.LESION), middle)
        side = _SIDES[draws.index % len(_SIDES)]
        class_folder = "Tumor" if SHOWN_IN[group].count(True) == 1 else "Healthy"
        paths: list[list[str]] = [[], []]
        for modality, is_shown in enumerate(SHOWN_IN[group]):
            patient = draw_patient(draws, lesion if is_shown else None)
            scan = patient.scan(_CONTRASTS[modality])
            for i in range(slices_per_modality):
                rng = draws.rng(Stream.SLICE, modality, i)
                height = slice_height(middle, i, draws.rng(Stream.SLICE, i))  # the same for both modalities
                one = patient.slice(scan, height, canvas(rng, image_px), rng)
                stem = f"{_TREES[modality]}/{class_folder}/{_STEMS[modality]} ({k // 2 * slices_per_modality + i + 1})"
                encoding = draws.pick(Walk.FILE, _ENCODINGS, step=draws.index * slices_per_modality + i)
                target.add_picture(stem, one.picture, one.mask, f"p_{k:03d}", encoding)
                paths[modality].append(stem + encoding.suffix)
        rows += [(ct, mri, class_folder, f"p_{k:03d}", side) for ct, mri in zip(*paths, strict=True)]
    target.close()
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _draw_mass(rng: np.random.Generator, height: float) -> Lesion:
    """Return a large bleeding mass anywhere in the brain; there is no swelling, so that its mask is all that shows."""
    out, angle_rad = rng.uniform(0.25, 0.58), rng.uniform(-math.pi, math.pi)
    return Lesion(
        kind=Kind.BLEED,
        centre_uv=(out * math.sin(angle_rad), -out * math.cos(angle_rad)),
        height=height,
        radius=rng.uniform(0.28, 0.36),
        stretch=(rng.uniform(0.8, 1.0), rng.uniform(0, math.pi)),
        fray=0.08,
        core=0.0,
        oedema=0.0,
        strength=1.0,
    )
