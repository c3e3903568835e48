"""How an image becomes the square that a model is given: the whole of it or the brain alone, and how large."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from trainables.data.images import square

_WHOLE = -1


class View(NamedTuple):
    """A square of side_px: of the brain with a margin of 0 or more px around it, or else of the whole image."""

    side_px: int
    margin_px: int = _WHOLE

    @classmethod
    def of(cls, hyperparameters: Mapping[str, Any]) -> Self:
        """Return the view that a trial's hyperparameters ask for; those of older journals know no crop."""
        crops = bool(hyperparameters.get("crop_brain", False))
        return cls(int(hyperparameters["image_px"]), int(hyperparameters["crop_margin_px"]) if crops else _WHOLE)

    @property
    def crop_margin_px(self) -> int | None:
        """Return the margin around the brain, None for the whole image."""
        return None if self.margin_px == _WHOLE else self.margin_px

    @property
    def name(self) -> str:
        """Return what arrays of it are known by."""
        return f"{self.side_px}" if self.crop_margin_px is None else f"{self.side_px}-brain{self.margin_px}"

    def square(self, slice_HW: np.ndarray) -> np.ndarray:
        """Return the square of an image."""
        return square(slice_HW, self.side_px, self.crop_margin_px)
