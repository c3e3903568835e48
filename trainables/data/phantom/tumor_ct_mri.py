"""Healthy or tumour, CT and MRI. Here, unlike in the real set, CT n and MRI n are the same slice of the same head."""

from pathlib import Path

from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import JPEG_GREY, JPEG_RGB, SetFolder
from trainables.data.phantom.patients import canvas, slice_height
from trainables.data.phantom.scanners import Contrast
from trainables.data.phantom.tumors import draw_height, draw_kind, draw_tumor_patient

_CT, _MRI = "Dataset/Brain Tumor CT scan Images", "Dataset/Brain Tumor MRI images"
_MR_CONTRASTS = {Contrast.T1_GADOLINIUM: 0.7, Contrast.T2: 0.15, Contrast.FLAIR: 0.15}
_BASE_SHARE = 0.25


def write_tumor_ct_mri_phantom(
    folder: Path, *, patients: int, slices_per_modality: int = 2, seed: int = 0, image_px: int = 192
) -> None:
    """Write Dataset/ (the real layout), masks/ (0 or 255, tumours only) and patients.csv into an empty folder.

    Patients alternate tumour, healthy. Patient k is the same head for every number of patients. MRI tumours are named
    after their kind; a number occurs once per class and modality.
    """
    target = SetFolder(folder)
    for k in range(patients):
        has_tumor = k % 2 == 0
        draws = Draws(seed=seed, task=Task.TUMOR_CT_MRI, part=0, label=int(has_tumor), index=k // 2)
        middle = draw_height(draws, _BASE_SHARE)
        kind = draw_kind(draws, middle) if has_tumor else None
        patient = draw_tumor_patient(draws, middle, kind)
        stems = (
            (f"{_CT}/Healthy/ct_healthy", f"{_MRI}/Healthy/mri_healthy")
            if kind is None
            else (f"{_CT}/Tumor/ct_tumor", f"{_MRI}/Tumor/{kind.name.lower()}")
        )
        for modality, contrast in enumerate((Contrast.CT, draws.pick(Walk.CONTRAST, _MR_CONTRASTS))):
            scan = patient.scan(contrast)
            for i in range(slices_per_modality):
                rng = draws.rng(Stream.SLICE, modality, i)
                height = slice_height(middle, i, draws.rng(Stream.SLICE, i))  # the same for both modalities
                one = patient.slice(scan, height, canvas(rng, image_px), rng)
                stem = f"{stems[modality]} ({draws.index * slices_per_modality + i + 1})"
                encoding = JPEG_RGB if rng.random() < 0.8 else JPEG_GREY
                target.add_picture(stem, one.picture, one.mask, f"p_{k:03d}", encoding)
    target.close()
