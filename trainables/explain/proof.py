"""What one image says of its explanations: every figure of every map, beside control maps on the same grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from trainables.explain.cell_places import CellPlaces
from trainables.explain.controls import CONTROLS, Control, control_maps
from trainables.explain.faithfulness import PERCENTILES, STEPS, Predict, removal_curves, road_curves
from trainables.explain.localisation import (
    energy_outside,
    energy_within,
    head_mask,
    is_blank,
    pointing_score,
    to_image_grid,
)

Source = Literal["map", "random", "centre"]
Direction = Literal["max", "min"]
FIGURES: dict[str, Direction] = {
    "pointing": "max",
    "energy_within": "max",
    "energy_outside": "min",
    "early_deletion": "min",
    "deletion": "min",
    "insertion": "max",
    "road_morf": "min",
    "road_lerf": "max",
}


@dataclass(frozen=True, kw_only=True)
class ProofSettings:
    """How maps are proved; without percentiles ROAD is left out: it solves large systems, seconds a map at 224 px."""

    tolerance_px: float = 2
    steps: int = STEPS
    percentiles: tuple[int, ...] = PERCENTILES
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ProofCase:
    """An image whose explanations are proved.

    `index` is its place in the data set (what is random hangs on it), `class_index` the class that the maps explain,
    `mask_HW` the lesion on the image's grid, None where none is known.
    """

    image: str
    index: int
    group: str
    is_correct: bool
    class_index: int
    mask_HW: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class MapScores:
    """The figures of one map of one image: an explainer's own (`source` "map") or a control's on that map's grid.

    None where a figure cannot be had: nothing is planted, no head is found, or the map is blank (no positive evidence,
    or the same everywhere).
    """

    explainer: str
    source: Source
    image: str
    group: str
    is_correct: bool
    has_mask: bool
    is_blank: bool
    pointing: float | None = None
    energy_within: float | None = None
    energy_outside: float | None = None
    early_deletion: float | None = None
    deletion: float | None = None
    insertion: float | None = None
    road_morf: float | None = None
    road_lerf: float | None = None

    def figure(self, name: str) -> float | None:
        """Return one of FIGURES by its name."""
        value: float | None = getattr(self, name)
        return value


def prove_image(
    predict: Predict,
    image_CHW: torch.Tensor,
    maps: Mapping[str, np.ndarray],
    case: ProofCase,
    settings: ProofSettings,
    places: Mapping[str, CellPlaces] | None = None,
) -> list[MapScores]:
    """Return for each explainer the scores of its map, then of the controls.

    `maps` are raw, explainer -> map_hw on the grid of its own layer: controls get the same grid, so that fine and
    coarse maps are each held against their like, and those of a grid are computed once. `places` says where the cells
    lie, of those that do not lie evenly; random maps lie as the explainer's. Raises ValueError as the figures do.
    """
    scores: list[MapScores] = []
    known: dict[tuple[tuple[int, int], CellPlaces | None, Control], dict[str, float | None]] = {}
    for explainer, map_hw in maps.items():
        grid_hw = (map_hw.shape[0], map_hw.shape[1])
        lie = (places or {}).get(explainer)
        own = _figures(predict, image_CHW, [map_hw], case, settings, lie)
        scores.append(_row(explainer, "map", case, own, is_blank(map_hw)))
        for control in CONTROLS:
            key = grid_hw, lie if control == "random" else None, control  # the centre is the image's, not a cell's
            if key not in known:
                blind = control_maps(control, grid_hw, settings.seed, case.index)
                known[key] = _figures(predict, image_CHW, blind, case, settings, key[1])
            scores.append(_row(explainer, control, case, known[key], False))
    return scores


def _figures(
    predict: Predict,
    image_CHW: torch.Tensor,
    maps_hw: Sequence[np.ndarray],
    case: ProofCase,
    settings: ProofSettings,
    places: CellPlaces | None,
) -> dict[str, float | None]:
    """Return the figures of a map; of several, where they lie is a mean, and pixels are removed by the first alone."""
    maps_HW = [to_image_grid(map_hw, (image_CHW.shape[1], image_CHW.shape[2]), places) for map_hw in maps_hw]
    head_HW = head_mask(image_CHW.detach().cpu().float().mean(dim=0).numpy())
    mask_HW = case.mask_HW
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(case.index, 1)))
    curves = removal_curves(predict, image_CHW, maps_HW[0], case.class_index, rng, settings.steps)
    road = (
        road_curves(predict, image_CHW, maps_HW[0], case.class_index, rng, settings.percentiles)
        if settings.percentiles
        else None
    )
    return {
        "energy_outside": _mean([energy_outside(map_HW, head_HW) for map_HW in maps_HW]),
        "early_deletion": None if curves is None else curves.early_deletion_area,
        "deletion": None if curves is None else curves.deletion_area,
        "insertion": None if curves is None else curves.insertion_area,
        "road_morf": None if road is None else road.morf,
        "road_lerf": None if road is None else road.lerf,
    } | (
        {}
        if mask_HW is None
        else {
            "pointing": _mean([pointing_score(map_HW, mask_HW, settings.tolerance_px) for map_HW in maps_HW]),
            "energy_within": _mean([energy_within(map_HW, mask_HW) for map_HW in maps_HW]),
        }
    )


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _row(
    explainer: str, source: Source, case: ProofCase, figures: Mapping[str, float | None], blank: bool
) -> MapScores:
    return MapScores(
        explainer=explainer,
        source=source,
        image=case.image,
        group=case.group,
        is_correct=case.is_correct,
        has_mask=case.mask_HW is not None and bool(case.mask_HW.any()),
        is_blank=blank,
        pointing=figures.get("pointing"),
        energy_within=figures.get("energy_within"),
        energy_outside=figures.get("energy_outside"),
        early_deletion=figures.get("early_deletion"),
        deletion=figures.get("deletion"),
        insertion=figures.get("insertion"),
        road_morf=figures.get("road_morf"),
        road_lerf=figures.get("road_lerf"),
    )
