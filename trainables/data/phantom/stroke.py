"""Stroke or not, CT and MR of the same head, in the folder layout of the real stroke set.

Demo data, test data and ground truth for heatmaps; not a model of disease. Only the lesion, and what a bleed pushes
aside, depends on the class: head, pose, scanner, canvas and file type come from other random streams.
"""

from pathlib import Path

from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import JPEG_RGB, PNG_RGBA, SetFolder
from trainables.data.phantom.lesions import draw_stroke
from trainables.data.phantom.patients import Patient, canvas, draw_patient, slice_height
from trainables.data.phantom.scanners import Contrast

_PARTS = ("train", "test")
_FOLDERS = {  # (part, has_stroke) -> CT folder, MR folder; the spelling changes between the parts, as in the real set
    ("train", True): ("deep/train/1- Stroke/StrokeBT", "deep/train/1- Stroke/StrokeMR"),
    ("train", False): ("deep/train/2- Control/NormalBT", "deep/train/2- Control/NormalMR"),
    ("test", True): ("deep/test/strokeBT", "deep/test/strokeMR"),
    ("test", False): ("deep/test/normalBT", "deep/test/normalMR"),
}
_MR_CONTRASTS = {
    Contrast.DIFFUSION: 0.82,
    Contrast.FLAIR: 0.08,
    Contrast.DIFFUSION_COEFFICIENT: 0.06,
    Contrast.T2: 0.04,
}


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
    target = SetFolder(folder)
    for part, num_patients in enumerate((train_patients, test_patients)):
        for k in range(num_patients):
            has_stroke = k % 2 == 0
            draws = Draws(seed=seed, task=Task.STROKE, part=part, label=int(has_stroke), index=k // 2)
            middle = 0.10 + 0.22 * draws.even(Walk.LEVEL)
            lesion = draw_stroke(draws.rng(Stream.LESION), middle) if has_stroke else None
            patient = draw_patient(draws, lesion)
            _write_patient(target, patient, middle, f"{_PARTS[part]}_{k:03d}", slices_per_modality, image_px)
    target.close()


def _write_patient(
    target: SetFolder, patient: Patient, middle: float, patient_id: str, num_slices: int, image_px: int
) -> None:
    draws = patient.draws
    contrasts = (Contrast.CT, draws.pick(Walk.CONTRAST, _MR_CONTRASTS))
    for modality, relative in enumerate(_FOLDERS[_PARTS[draws.part], bool(draws.label)]):
        scan = patient.scan(contrasts[modality])
        for i in range(num_slices):
            rng = draws.rng(Stream.SLICE, modality, i)
            one = patient.slice(scan, slice_height(middle, i, rng), canvas(rng, image_px), rng)
            stem = f"{relative}/{2 - draws.label}_{modality + 1} ({draws.index * num_slices + i + 1})"
            encoding = PNG_RGBA if rng.random() < 0.5 else JPEG_RGB
            target.add_picture(stem, one.picture, one.mask, patient_id, encoding)
