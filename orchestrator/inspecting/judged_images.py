"""Images that a registered version judges: as it sees them, what it says of them, and what is planted in them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.errors import BadInput
from trainables.data.unlabelled import UnlabelledImage

if TYPE_CHECKING:
    from trainables.data.decoding import Progress
    from trainables.data.views import View
    from trainables.explain.packaged import Packaged

BATCH = 64


@dataclass(frozen=True)
class JudgedImages:
    """The readable images as the model sees them, what it says of them, and why others cannot be read."""

    images: list[UnlabelledImage]
    images_NHW: np.ndarray
    probs_NK: np.ndarray
    sha256s: set[str]
    left_out: dict[str, str]


def judge_images(packaged: "Packaged", images: Sequence[UnlabelledImage], progress: "Progress") -> JudgedImages:
    """Read and judge all images, the files of a batch in memory. Raises BadInput where none can be read."""
    kept, squares, probs, left_out = [], [], [], {}
    sha256s: set[str] = set()
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        contents, faults = zip(*(image.read_or_reason() for image in batch), strict=True)
        sha256s.update(hashlib.sha256(content).hexdigest() for content in contents)
        answers = packaged.answers(contents)
        for n, (image, fault, reason) in enumerate(zip(batch, faults, answers.reasons, strict=True)):
            if fault or reason:
                left_out[image.name] = fault or reason
            else:
                kept.append(image)
                squares.append(answers.images_NHW[n])
                probs.append(answers.probs_NK[n])
        progress("predicting", start + len(batch), len(images))
    if not kept:
        name, reason = next(iter(left_out.items()))
        raise BadInput(f"none of the {len(images)} images can be read, e.g. {name}: {reason}")
    return JudgedImages(kept, np.stack(squares), np.stack(probs), sha256s, left_out)


def lesion_masks(images: Sequence[UnlabelledImage], view: "View") -> dict[int, np.ndarray]:
    """Return the planted lesions of a phantom's images, by their number; of other images nothing is known."""
    from trainables.explain.masks import LesionMasks

    lesions = LesionMasks(Path("/"))
    found = {}
    for n, image in enumerate(images):
        path = f"{image.file.absolute()}#{image.row}" if image.row else str(image.file.absolute())
        mask_HW = lesions.find(path, view)
        if mask_HW is not None:
            found[n] = mask_HW
    return found
