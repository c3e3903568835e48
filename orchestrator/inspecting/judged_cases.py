"""Cases that a registered version judges: as it sees them, what it says of them, and what is planted in them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import BadInput
from trainables.data.layouts.dicom_files import picture_of
from trainables.data.unlabelled_cases import UnlabelledCase

if TYPE_CHECKING:
    from trainables.data.decoding import Progress
    from trainables.data.views import View
    from trainables.explain.packaged import Packaged

BATCH = 64


@dataclass(frozen=True)
class JudgedCases:
    """The readable cases as the model sees them, what it says of them, and why others cannot be read."""

    cases: list[UnlabelledCase]
    images_NMHW: np.ndarray
    probs_NK: np.ndarray
    sha256s: set[str]
    left_out: dict[str, str]


def judge_cases(packaged: "Packaged", cases: Sequence[UnlabelledCase], progress: "Progress") -> JudgedCases:
    """Read and judge all cases, the files of a batch in memory. Raises BadInput where none can be read."""
    kept, squares, probs, left_out = [], [], [], {}
    sha256s: set[str] = set()
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        contents, faults = zip(*(case.read_or_reason() for case in batch), strict=True)
        window = packaged.ct_window_hu  # sets know DICOM files by their pictures
        sha256s.update(hashlib.sha256(picture_of(content, window)).hexdigest() for case in contents for content in case)
        answers = packaged.answers(contents)
        for n, (case, fault, reason) in enumerate(zip(batch, faults, answers.reasons, strict=True)):
            if fault or reason:
                left_out[case.name] = fault or reason
            else:
                kept.append(case)
                squares.append(answers.images_NMHW[n])
                probs.append(answers.probs_NK[n])
        progress("predicting", start + len(batch), len(cases))
    if not kept:
        name, reason = next(iter(left_out.items()))
        what = "images" if len(cases[0].images) == 1 else "cases"
        raise BadInput(f"none of the {len(cases)} {what} can be read, e.g. {name}: {reason}")
    return JudgedCases(kept, np.stack(squares), np.stack(probs), sha256s, left_out)


def lesion_masks(cases: Sequence[UnlabelledCase], view: "View") -> "dict[tuple[int, int], np.ndarray]":
    """Return the planted lesions of a phantom's images, by case and image; of other images nothing is known."""
    from trainables.explain.masks import LesionMasks

    lesions = LesionMasks(Path("/"))
    found = {}
    for place, image in (((n, m), image) for n, case in enumerate(cases) for m, image in enumerate(case.images)):
        path = f"{image.file.absolute()}#{image.row}" if image.row else str(image.file.absolute())
        mask_HW = lesions.find(path, view)
        if mask_HW is not None:
            found[place] = mask_HW
    return found
