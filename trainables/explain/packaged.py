"""A registered classifier explained: by its own weights and code, on images as it decodes them, beside what it serves.

Its probabilities have its temperature applied, which changes no order of classes; maps are of the logits before that.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from trainables.catalog import BRAIN_WINDOW_HU
from trainables.catalog import architecture as architecture_record
from trainables.configs.record import Architecture
from trainables.configs.training import TrainingConfig
from trainables.data.views import View
from trainables.errors import ArchitectureError, ExplanationError
from trainables.explain.case_panels import Reference
from trainables.explain.explained import Explained
from trainables.explain.explainers import AUTO, METHODS, Explainer
from trainables.packaging import FORMAT_VERSION
from trainables.standalone import Classifier, load_module


@dataclass(frozen=True)
class Answers:
    """What a classifier says of some cases: uint8 images_NMHW as it sees them, probs_NK, and why it cannot judge some.

    Rows of these are black and NaN.
    """

    images_NMHW: np.ndarray
    probs_NK: np.ndarray
    reasons: list[str]


@dataclass(frozen=True)
class Packaged:
    """A classifier loaded from its folder by the code that lies there, its architecture's name, and what it sees."""

    classifier: Classifier
    architecture: str
    view: View

    @property
    def classes(self) -> list[str]:
        """Return the names of its classes in the order of its logits."""
        return self.classifier.classes

    @property
    def inputs(self) -> list[str]:
        """Return the names of a case's images."""
        return self.classifier.inputs

    @property
    def ct_window_hu(self) -> tuple[float, float]:
        """Return the window in which it sees CT; what was registered before it knew DICOM sees none."""
        window: tuple[float, float] = getattr(self.classifier, "ct_window_hu", BRAIN_WINDOW_HU)
        return window

    def answers(self, contents: Sequence[Sequence[bytes]]) -> Answers:
        """Judge cases of image files, of which any may be damaged."""
        side_px, per_case = self.classifier.side_px, len(self.inputs)
        probs_NK, reasons = self.classifier.predict([list(case) for case in contents])
        images_NMHW = np.zeros((len(contents), per_case, side_px, side_px), dtype=np.uint8)
        readable = [n for n, reason in enumerate(reasons) if not reason]
        if readable:
            x_NMHW = torch.cat(self.classifier.tensors([list(contents[n]) for n in readable]), dim=1)
            images_NMHW[readable] = (x_NMHW * 255).round().to(torch.uint8).numpy()
        return Answers(images_NMHW, probs_NK, reasons)

    def explained(self, images_NMHW: np.ndarray) -> Explained:
        """Return the model with cases that it can judge, explained as the catalog says of its architecture now."""
        return Explained(_record(self.architecture, self.inputs), self.classifier.model, images_NMHW)

    def black_images(self) -> Reference:
        """Return what stands for "nothing special" where no other cases are known."""
        side_px, per_case = self.classifier.side_px, len(self.inputs)
        named = "a black image" if per_case == 1 else "black images"
        return Reference(torch.zeros(1, per_case, side_px, side_px), named)


def load_packaged(folder: Path) -> Packaged:
    """Load what `trainables.packaging` wrote. Runs the code in the folder. Raises ExplanationError."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("format_version", 1) < FORMAT_VERSION:
            raise ExplanationError("was registered before models could be explained; register it anew with a sweep")
        classifier = load_module(folder / "standalone.py").Classifier(folder)
        return Packaged(classifier, config["architecture"], View.of(config["hyperparameters"]))
    except ExplanationError:
        raise
    except Exception as error:  # its own code may raise anything
        said = str(error).replace(f"{folder}/", "")  # a folder that is gone when this is read
        reason = " ".join(said.split())[:200] or type(error).__name__
        raise ExplanationError(
            f"cannot be loaded, it is no classifier of this project or damaged ({reason})"
        ) from error


def explainers_for(explained: Explained, asked: Explainer | None) -> tuple[list[Explainer], list[str]]:
    """Return what explains a model, each under a name of its own, and why other explainers of its record cannot.

    These are its architecture's record, or the one that is asked for (without a name), by the record's name where it
    stands there; a method without a layer means the record's of that method.
    Raises ExplanationError where none can be used.
    """
    if asked is None:
        works, refused, failed = explained.usable(explained.architecture.explainers)
        if not works:
            raise ExplanationError(f"no explainer can be used on this model: {'; '.join(refused + failed)}")
        return works, refused + failed
    same = [known for known in explained.architecture.explainers if known.method == asked.method and not asked.layer]
    works, refused, failed = explained.usable(same)
    if works:  # the record knows where this method is right
        return works, refused + failed
    if refused or failed:
        raise ExplanationError(f"--method {asked.method}: {'; '.join(refused + failed)}")
    if not asked.layer and explained.images_NMHW.shape[1] > 1:
        return _of_each_image(explained, asked)
    asked = replace(asked, image=explained.image_of(asked))
    found = explained.maps([asked], [0], [0])[asked.name]
    for known, own in explained.of_record():
        fusion = known.head_fusion, known.discard_fraction
        same_place = (own.method, own.layer, own.image) == (found.method, found.layer, found.image)
        if same_place and fusion == (asked.head_fusion, asked.discard_fraction):
            return [known], []
    title = METHODS[found.method].title
    return [replace(asked, method=found.method, name=f"{title} at {found.layer}" if found.layer else title)], []


def _of_each_image(explained: Explained, asked: Explainer) -> tuple[list[Explainer], list[str]]:
    """Return the method on every image of a case, where it needs no layer. Raises ExplanationError where it does."""
    if asked.method == AUTO:
        raise ExplanationError(f"--method {AUTO}: a case has several images: say which by --layer")
    method = METHODS[asked.method]
    if method.family in ("attention", "gate", "cross"):
        raise ExplanationError(f"--method {asked.method}: {explained.architecture.name} has nothing for it")
    if method.family != "occlusion":
        raise ExplanationError(f"--method {asked.method}: a case has several images: say which by --layer")
    names = explained.architecture.image_names
    return [replace(asked, name=f"{name} {method.title}", image=image) for image, name in enumerate(names)], []


def _record(architecture: str, inputs: Sequence[str]) -> Architecture:
    """Return the catalog's record; of an architecture that it knows no more, one with the default explainer."""
    try:
        return architecture_record(architecture)
    except (KeyError, ArchitectureError):
        gone = Architecture(architecture, TrainingConfig, "", (), None, "no longer in the catalog", {})
        return replace(gone, image_names=tuple(inputs))
