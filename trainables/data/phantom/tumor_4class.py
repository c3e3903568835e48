"""Glioma, meningioma, pituitary tumour or none, told apart by site and look, in Training/ and Testing/."""

from pathlib import Path

from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import JPEG_GREY, JPEG_RGB, MISNAMED_PNG, SetFolder
from trainables.data.phantom.lesions import Kind
from trainables.data.phantom.patients import canvas, slice_height
from trainables.data.phantom.scanners import Contrast
from trainables.data.phantom.tumors import draw_height, draw_tumor_patient

_PARTS = (("Training", "Tr", "train"), ("Testing", "Te", "test"))
_CLASSES = (  # folder, name in files, kind of tumour
    ("glioma", "gl", Kind.GLIOMA),
    ("meningioma", "me", Kind.MENINGIOMA),
    ("notumor", "no", None),
    ("pituitary", "pi", Kind.PITUITARY),
)
_CONTRASTS = {Contrast.T1_GADOLINIUM: 0.86, Contrast.FLAIR: 0.07, Contrast.T2: 0.07}
_BASE_SHARE = 0.5  # of the classes that may lie anywhere; pituitary tumours lie at the base
_ENCODINGS = {JPEG_GREY: 0.6, JPEG_RGB: 0.32, MISNAMED_PNG: 0.08}


def write_tumor_4class_phantom(
    folder: Path, *, train_patients: int, test_patients: int, slices: int = 3, seed: int = 0, image_px: int = 192
) -> None:
    """Write Training/, Testing/, masks/ (0 or 255, tumours only) and patients.csv into an empty folder.

    Patients run through the four classes. Patient k of a part is the same head for every number of patients.
    """
    target = SetFolder(folder)
    for part, num_patients in enumerate((train_patients, test_patients)):
        top, prefix, patient_prefix = _PARTS[part]
        for k in range(num_patients):
            label = k % len(_CLASSES)
            name, short, kind = _CLASSES[label]
            draws = Draws(seed=seed, task=Task.TUMOR_4CLASS, part=part, label=label, index=k // len(_CLASSES))
            middle = draw_height(draws, 1.0 if kind is Kind.PITUITARY else _BASE_SHARE)
            patient = draw_tumor_patient(draws, middle, kind)
            scan = patient.scan(draws.pick(Walk.CONTRAST, _CONTRASTS))
            for i in range(slices):
                rng = draws.rng(Stream.SLICE, i)
                one = patient.slice(scan, slice_height(middle, i, rng), canvas(rng, image_px), rng)
                n = draws.index * slices + i
                encoding = draws.pick(Walk.FILE, _ENCODINGS, step=n)
                stem = f"{top}/{name}/{prefix}-{short}_{n:04d}"
                target.add_picture(stem, one.picture, one.mask, f"{patient_prefix}_{k:03d}", encoding)
    target.close()
