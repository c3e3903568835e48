"""A trained model and the images whose answers are to be explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainables.configs.record import Architecture
from trainables.errors import ExplanationError
from trainables.explain.engine import Explanation, explain
from trainables.explain.explainers import Explainer
from trainables.inference import to_input

Masks = Mapping[tuple[int, int], np.ndarray]  # lesions, mask_HW by the number of the case and of its image


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

    def image_of(self, layer: str) -> int:
        """Return the number of the image whose places a layer's maps have.

        Raises ExplanationError for a layer that has taken in several: where its maps lie cannot be told.
        """
        record = self.architecture
        known = [one.image for one in record.explainers if one.layer == layer]
        if self.images_NMHW.shape[1] == 1 or known:
            return known[0] if known else 0
        branches = record.pair.branches if record.pair else ()
        if not branches:
            return record.explainers[0].image
        for image, branch in enumerate(branches):
            if f"{layer}.".startswith(f"{branch}."):
                return image
        raise ExplanationError(f"layer {layer!r} lies on no one image of a case: name one of {' or '.join(branches)}")

    def usable(self, explainers: Sequence[Explainer]) -> tuple[list[Explainer], list[str]]:
        """Return the explainers that work on this model, and why the others do not: none stands in for another."""
        works, refused = [], []
        for explainer in explainers:
            try:
                self.maps([explainer], [0], [0])
            except ExplanationError as error:
                refused.append(f"{explainer.name}: {error}")
            else:
                works.append(explainer)
        return works, refused
