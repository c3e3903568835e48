"""MR slices with or without a tumour: yes/ and no/, no split, file names and types as wild as in the real set."""

from pathlib import Path

from trainables.data.phantom.draws import Draws, Stream, Task, Walk
from trainables.data.phantom.files import MISNAMED_PNG, Encoding, SetFolder
from trainables.data.phantom.patients import canvas, slice_height
from trainables.data.phantom.scanners import Contrast
from trainables.data.phantom.tumors import draw_height, draw_kind, draw_tumor_patient

_CONTRASTS = {Contrast.T1_GADOLINIUM: 0.6, Contrast.FLAIR: 0.25, Contrast.T2: 0.1, Contrast.T1: 0.05}
_BASE_SHARE = 0.25
_ENCODINGS = {
    Encoding(".jpg", "JPEG", "RGB"): 0.48,
    Encoding(".JPG", "JPEG", "RGB"): 0.2,
    Encoding(".jpg", "JPEG", "L"): 0.1,
    Encoding(".jpeg", "JPEG", "RGB"): 0.1,
    Encoding(".png", "PNG", "RGBA"): 0.06,
    MISNAMED_PNG: 0.06,
}


def write_tumor_binary_phantom(
    folder: Path, *, patients: int, slices: int = 4, seed: int = 0, image_px: int = 192
) -> None:
    """Write yes/, no/, masks/ (0 or 255, tumours only) and patients.csv into an empty folder.

    Patients alternate yes, no. Patient k is the same head for every number of patients. Extensions are .jpg, .JPG,
    .jpeg and .png, and some .jpg are PNG, in both classes alike.
    """
    target = SetFolder(folder)
    for k in range(patients):
        has_tumor = k % 2 == 0
        draws = Draws(seed=seed, task=Task.TUMOR_BINARY, part=0, label=int(has_tumor), index=k // 2)
        middle = draw_height(draws, _BASE_SHARE)
        patient = draw_tumor_patient(draws, middle, draw_kind(draws, middle) if has_tumor else None)
        scan = patient.scan(draws.pick(Walk.CONTRAST, _CONTRASTS))
        for i in range(slices):
            rng = draws.rng(Stream.SLICE, i)
            one = patient.slice(scan, slice_height(middle, i, rng), canvas(rng, image_px), rng)
            n = draws.index * slices + i + 1
            encoding = draws.pick(Walk.FILE, _ENCODINGS, step=n)
            stem = f"yes/Y{n}" if has_tumor else f"no/{n} no" if n % 3 else f"no/N{n}"
            target.add_picture(stem, one.picture, one.mask, f"p_{k:03d}", encoding)
    target.close()
