"""A trained model and the images whose answers are to be explained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainables.configs.record import Architecture
from trainables.errors import ExplanationError, OneCell, first_line
from trainables.explain.engine import Explanation, explain
from trainables.explain.explainers import METHODS, Explainer
from trainables.explain.layers import full_path
from trainables.inference import to_input

Masks = Mapping[tuple[int, int], np.ndarray]  # lesions, mask_HW by the number of the case and of its image
FAULTS = (ExplanationError, torch.OutOfMemoryError)  # of one explainer or one part: they cost no other


def reason_of(fault: Exception) -> str:
    """Return one of `FAULTS` in a line; what an allocator tells of the processes of a device is no reason."""
    return "out of memory" if isinstance(fault, torch.OutOfMemoryError) else first_line(fault)


def explain_cases(model: nn.Module, x_BMHW: torch.Tensor, targets: Sequence[int], explainer: Explainer) -> Explanation:
    """Return the raw maps of cases of M images, which the model takes one by one. Raises ExplanationError."""
    return explain(model, x_BMHW.split(1, dim=1), targets, explainer)


@dataclass(frozen=True)
class Explained:
    """A model with the record of its architecture, and uint8 images_NMHW: N cases of M images as it takes them."""

    architecture: Architecture
    model: nn.Module
    images_NMHW: np.ndarray

    def input_of(self, cases: Sequence[int]) -> torch.Tensor:
        """Return x_BMHW of some cases."""
        return to_input(torch.from_numpy(np.ascontiguousarray(self.images_NMHW[list(cases)])))

    def maps(
        self, explainers: Sequence[Explainer], cases: Sequence[int], targets: Sequence[int]
    ) -> dict[str, Explanation]:
        """Return the raw maps of some cases for one class each, by the explainer's name. Raises ExplanationError."""
        return {one.name: explain_cases(self.model, self.input_of(cases), targets, one) for one in explainers}

    def image_of(self, asked: Explainer) -> int:
        """Return the number of the image whose places the maps of a method at a layer have.

        Raises ExplanationError for a layer that has taken in several: where its maps lie cannot be told.
        """
        record = self.architecture
        if self.images_NMHW.shape[1] == 1:
            return 0
        path = full_path(self.model, asked.layer) if asked.layer else ""
        if _is_between_images(asked):
            return self._asked_image(path)
        branches = record.pair.branches if record.pair else ()
        own = {image for image, branch in enumerate(branches) if f"{path}.".startswith(f"{branch}.")}
        within = [one for one in record.explainers if not _is_between_images(one)]  # of others the keys' image is told
        there = {one.image for one in within if self._is_at(one, path)}
        anywhere = set() if branches else {one.image for one in within}
        for images in (own, there, anywhere):
            if len(images) == 1:
                return images.pop()
        which = f": name one of {' or '.join(branches)}" if branches else ""
        raise ExplanationError(f"layer {asked.layer!r} lies on no one image of a case{which}")

    def _is_at(self, explainer: Explainer, path: str) -> bool:
        """Tell whether an explainer of the record is of this layer; one that this model lacks is of none."""
        try:
            return bool(explainer.layer) and full_path(self.model, explainer.layer) == path
        except ExplanationError:
            return False

    def _asked_image(self, path: str) -> int:
        """Return the image whose patches are the keys of an attention between images."""
        cross = self.architecture.cross
        stacks = [] if cross is None else [first.rpartition(".")[0] for first in cross.first]
        for asking, stack in enumerate(stacks):
            if f"{path}.".startswith(f"{stack}."):
                return 1 - asking
        there = " or ".join(f"{stack}.0.attention" for stack in stacks) or "there is none in this model"
        raise ExplanationError(f"{path or 'no layer'}: is no attention between images; {there}")

    def of_record(self) -> Iterator[tuple[Explainer, Explanation]]:
        """Yield the explainers of the record that can be used, each with its map of the first case."""
        for known in self.usable(self.architecture.explainers)[0]:
            yield known, self.maps([known], [0], [0])[known.name]

    def usable(self, explainers: Sequence[Explainer]) -> tuple[list[Explainer], list[str], list[str]]:
        """Return the explainers that work, which images of this size are too small for, and why others failed.

        None stands in for another.
        """
        works: list[Explainer] = []
        refused: list[str] = []
        failed: list[str] = []
        for explainer in explainers:
            try:
                self.maps([explainer], [0], [0])
            except FAULTS as fault:
                said = refused if isinstance(fault, OneCell) else failed
                said.append(f"{explainer.name}: {reason_of(fault)}")
            else:
                works.append(explainer)
        return works, refused, failed


def _is_between_images(explainer: Explainer) -> bool:
    return explainer.method in METHODS and METHODS[explainer.method].family == "cross"
