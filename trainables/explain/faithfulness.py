"""Does the model's answer hang on what a map calls important: deletion, insertion and ROAD.

All are probabilities of the explained class, so what a map is worth is only told beside controls on the same images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trainables.explain.localisation import is_blank
from trainables.explain.removal import blurred, filled, imputed, removal_masks, removal_order

Predict = Callable[[torch.Tensor], torch.Tensor]  # images_BCHW in [0, 1], on the CPU -> probabilities_BK
STEPS = 20
PERCENTILES = (10, 30, 50, 70, 90)
BATCH = 32
EARLY = 0.2  # of the pixels: a lesion covers less, and what is left when most of the image went tells of no map


@dataclass(frozen=True)
class RemovalCurves:
    """The explained class's probability against the fraction of pixels removed (deletion) or shown (insertion)."""

    fractions_F: np.ndarray
    deletion_F: np.ndarray
    insertion_F: np.ndarray

    @property
    def deletion_area(self) -> float:
        """Return the mean height of the deletion curve; low where the map is faithful."""
        return area(self.fractions_F, self.deletion_F)

    @property
    def early_deletion_area(self) -> float:
        """Return the mean height of the deletion curve up to EARLY of the pixels; low where the map is faithful."""
        early_F = np.append(self.fractions_F[self.fractions_F < EARLY], EARLY)
        return area(early_F, np.interp(early_F, self.fractions_F, self.deletion_F))

    @property
    def insertion_area(self) -> float:
        """Return the mean height of the insertion curve; high where the map is faithful."""
        return area(self.fractions_F, self.insertion_F)


@dataclass(frozen=True)
class RoadCurves:
    """The explained class's probability after removing percentiles, most (MoRF) or least relevant pixels first."""

    percentiles: tuple[int, ...]
    morf_F: np.ndarray
    lerf_F: np.ndarray

    @property
    def morf(self) -> float:
        """Return the mean over percentiles, most relevant first; low where the map is faithful."""
        return float(self.morf_F.mean())

    @property
    def lerf(self) -> float:
        """Return the mean over percentiles, least relevant first; high where the map is faithful."""
        return float(self.lerf_F.mean())


def removal_curves(
    predict: Predict,
    image_CHW: torch.Tensor,
    map_HW: np.ndarray,
    class_index: int,
    rng: np.random.Generator,
    steps: int = STEPS,
) -> RemovalCurves | None:
    """Return both curves, at 0, 1/steps, ... 1; None for a blank map.

    Removed pixels are those of the blurred image, and insertion starts from it. Petsiuk et al. 2018 (RISE,
    arXiv:1806.07421). Raises ValueError for a map on another grid than the image's, and as `class_probabilities`.
    """
    _require_image_grid(map_HW, image_CHW)
    if is_blank(map_HW):
        return None
    fractions_F = np.linspace(0, 1, steps + 1)
    gone_FHW = removal_masks(removal_order(map_HW, rng), fractions_F, (map_HW.shape[0], map_HW.shape[1]))
    fill_CHW = blurred(image_CHW)
    both_GHW = np.concatenate([gone_FHW, ~gone_FHW])  # what is shown by insertion is what deletion took
    batches = (both_GHW[start : start + BATCH] for start in range(0, len(both_GHW), BATCH))
    parts = [class_probabilities(predict, filled(image_CHW, gone_BHW, fill_CHW), class_index) for gone_BHW in batches]
    deletion_F, insertion_F = np.split(np.concatenate(parts), 2)
    return RemovalCurves(fractions_F, deletion_F, insertion_F)


def road_curves(
    predict: Predict,
    image_CHW: torch.Tensor,
    map_HW: np.ndarray,
    class_index: int,
    rng: np.random.Generator,
    percentiles: Sequence[int] = PERCENTILES,
) -> RoadCurves | None:
    """Return what is left of the class when pixels go and are imputed; None for a blank map.

    Each percentile is that of pixels removed, exactly. Rong et al. 2022 (arXiv:2202.00449). Raises ValueError for a
    percentile that is not between 0 and 100, for a map on another grid, and as `class_probabilities`.
    """
    _require_image_grid(map_HW, image_CHW)
    if not all(0 < percentile < 100 for percentile in percentiles):
        raise ValueError(f"percentiles {list(percentiles)}: each must be between 0 and 100")
    if is_blank(map_HW):
        return None
    order_P = removal_order(map_HW, rng)
    fractions_F = np.asarray(percentiles) / 100
    grid_HW = (map_HW.shape[0], map_HW.shape[1])
    gone_GHW = np.concatenate([removal_masks(one_P, fractions_F, grid_HW) for one_P in (order_P, order_P[::-1])])
    images_GCHW = torch.stack([imputed(image_CHW, gone_HW, rng) for gone_HW in gone_GHW])
    parts = [class_probabilities(predict, images_BCHW, class_index) for images_BCHW in images_GCHW.split(BATCH)]
    morf_F, lerf_F = np.split(np.concatenate(parts), 2)
    return RoadCurves(tuple(percentiles), morf_F, lerf_F)


def class_probabilities(predict: Predict, images_BCHW: torch.Tensor, class_index: int) -> np.ndarray:
    """Return the explained class's probability of each image.

    Raises ValueError unless `predict` gives probabilities_BK with this class: areas under logits would say nothing.
    """
    with torch.no_grad():
        probs_BK = predict(images_BCHW).detach().cpu().float().numpy()
    if probs_BK.ndim != 2 or len(probs_BK) != len(images_BCHW) or not 0 <= class_index < probs_BK.shape[1]:
        raise ValueError(
            f"predict gave {list(probs_BK.shape)} for {len(images_BCHW)} images; expected probabilities [B, K] "
            f"with class {class_index}"
        )
    if not (np.isfinite(probs_BK).all() and probs_BK.min() >= -1e-4 and probs_BK.max() <= 1 + 1e-4):
        raise ValueError("predict gave values outside 0 to 1; expected probabilities, not logits")
    return np.asarray(probs_BK[:, class_index].astype(np.float64))


def area(fractions_F: np.ndarray, values_F: np.ndarray) -> float:
    """Return the area under a curve by the trapezoid rule, over the width of the fractions."""
    return float(np.trapezoid(values_F, fractions_F) / (fractions_F[-1] - fractions_F[0]))


def _require_image_grid(map_HW: np.ndarray, image_CHW: torch.Tensor) -> None:
    if map_HW.shape != tuple(image_CHW.shape[1:]):
        raise ValueError(
            f"a map of {list(map_HW.shape)} for an image of {list(image_CHW.shape)}; resize it with to_image_grid"
        )
