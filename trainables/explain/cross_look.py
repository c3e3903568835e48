"""What one pass through a dual cross-attention model shows: plain arrays, which every figure of it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.errors import ExplanationError

SUM_TOLERANCE = 1e-3  # of a row of attention: softmax in half precision is not closer to 1


@dataclass(frozen=True, kw_only=True)
class CrossLook:
    """What one case's pass through a dual cross-attention model showed; numbers of modalities as in `names`.

    Raises ExplanationError where shapes do not fit, values are not finite, or rows of attention do not sum to 1.
    """

    names: tuple[str, str]  # ("CT", "MRI")
    images_2HW: np.ndarray  # uint8
    attention_2HQK: np.ndarray  # [0]: queries of names[0], keys of names[1]; [1]: the reverse; each row sums to 1
    before_2ND: np.ndarray  # patch tokens before the cross attention
    after_2ND: np.ndarray  # and after it
    features_2CHW: np.ndarray  # last feature maps of both encoders (post-ReLU)
    fused_DHW: np.ndarray  # the fused map (attended tokens of both, concatenated) on the patch grid
    grid: tuple[int, int]  # rows and columns of patches; N = rows * columns

    def __post_init__(self) -> None:
        places = self.num_places
        expected = {
            "images_2HW": (2, None, None),
            "attention_2HQK": (2, None, places, places),
            "before_2ND": (2, places, None),
            "after_2ND": (2, places, None),
            "features_2CHW": (2, None, None, None),
            "fused_DHW": (None, *self.grid),
        }
        for name, shape in expected.items():
            _check_array(name, getattr(self, name), shape)
        if self.images_2HW.dtype != np.uint8:
            raise ExplanationError(f"images_2HW of {self.images_2HW.dtype}: expected uint8")
        sums_2HQ = self.attention_2HQK.sum(axis=-1, dtype=np.float64)
        if self.attention_2HQK.min() < 0 or np.abs(sums_2HQ - 1).max() > SUM_TOLERANCE:
            raise ExplanationError(
                f"attention_2HQK: rows sum to {sums_2HQ.min():.4g} to {sums_2HQ.max():.4g}, the smallest weight is "
                f"{self.attention_2HQK.min():.3g}; expected rows of a softmax in eval mode, before any dropout"
            )

    @property
    def num_places(self) -> int:
        """Return N, the number of patches of each image."""
        return self.grid[0] * self.grid[1]

    @property
    def directions(self) -> tuple[str, str]:
        """Return what attends to what, in the order of attention_2HQK."""
        first, second = self.names
        return f"{first} to {second}", f"{second} to {first}"


@dataclass(frozen=True)
class CrossCase:
    """What a look is of: its `name` in tables, classes by index, `title` above its figures, `file` begins theirs.

    `true` is None where nobody knows. One that was chosen for its answer is not `at_random`, and in no mean.
    """

    name: str
    true: int | None
    predicted: int
    title: str = ""
    file: str = ""
    at_random: bool = True


def check_alike(looks: Sequence[CrossLook]) -> None:
    """Raise ExplanationError where looks differ in modalities, grid or heads: their statistics would not compare."""
    kinds = list(dict.fromkeys((*look.names, look.grid, look.attention_2HQK.shape[1]) for look in looks))
    if len(kinds) > 1:
        raise ExplanationError(f"looks of {len(kinds)} kinds: expected the same modalities, grid and heads: {kinds}")


def _check_array(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    if not fits or array.size == 0:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ExplanationError(f"{name} of shape {array.shape}: expected ({wanted})")
    if not np.isfinite(array).all():
        raise ExplanationError(f"{name} holds values that are not finite")
