"""Does a map depend on the model at all, and does it follow the image: two tests that need no ground truth.

Adebayo et al. 2018 (arXiv:1810.03292) found explanations that look right and do not change when the model's weights
are replaced by noise: they show edges. Neither test says that a map is right, only that it could be.

Maps are compared inside the head alone. The air around it is dark for any model, and a map that multiplies by the image
is zero there: over whole images such maps stay alike (0.77 in tests) though the weights are noise, and 0.1 inside.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from trainables.explain.cell_places import CellPlaces
from trainables.explain.localisation import head_mask, is_blank, to_image_grid
from trainables.explain.rank_correlation import rank_correlation

FEWEST_CELLS = 16  # of a map: ranks of fewer agree by chance, of four by 0.5 on average
MOST_ALIKE = 0.5  # mean |rank correlation| up to which a map counts as changed: a quarter of the ranks' variance
DEPTHS = (0.0, 0.25, 0.5, 1.0)  # fractions of the layers below the head that are randomised with it
SHIFTS_PX = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True)
class RandomisedStep:
    """How alike maps still are, when the last layers, down to `down_to`, are random; None where nothing can be said.

    `alike` is the mean over images of |Spearman|: a map that turned into its negative still shows the same edges.
    `blank` counts the images whose map vanished; it was a map before, so it changed, yet has no ranks to compare.
    """

    down_to: str
    layers: int
    alike: float | None
    compared: int
    blank: int


@dataclass(frozen=True)
class RandomisationTest:
    """Whether maps change as the model is randomised from the head down; `passed` is None where no map can tell."""

    steps: tuple[RandomisedStep, ...]
    passed: bool | None
    sentence: str


def randomisation_test(
    explain: Callable[[nn.Module], np.ndarray],
    model: nn.Module,
    images_NCHW: torch.Tensor,
    seed: int,
    *,
    depths: tuple[float, ...] = DEPTHS,
    places: CellPlaces | None = None,
) -> RandomisationTest:
    """Compare the maps of images_NCHW before and after layers are randomised, on copies: the model is left alone.

    `explain` gives maps_Nhw of these images by the model that it is handed, whose cells lie evenly unless `places` are
    given. Each step randomises all layers from the
    head down to its depth, and the last step decides. It passes where the mean |rank correlation| is at most MOST_ALIKE
    there, or where every map vanished. Cascading form of Adebayo et al. 2018.
    """
    heads_NHW = _heads(images_NCHW)
    maps_Nhw = explain(copy.deepcopy(model))
    cells_h, cells_w = maps_Nhw.shape[1:]
    if cells_h * cells_w < FEWEST_CELLS:
        return RandomisationTest(
            (), None, f"layer randomisation: maps of {cells_h} x {cells_w} cells are too coarse to tell"
        )
    before = _inside(maps_Nhw, heads_NHW, places)
    kept = [row for row, values_P in enumerate(before) if not is_blank(values_P)]
    names = layer_names(model)
    if not kept or not names:
        why = "the model has no weights to randomise" if kept else "no image has a map that points anywhere"
        return RandomisationTest((), None, f"layer randomisation: {why}")
    steps = []
    for number in sorted({round(depth * (len(names) - 1)) for depth in depths}):
        chosen = names[: number + 1]
        after = _inside(explain(randomised_copy(model, chosen, seed)), heads_NHW, places)
        steps.append(_step(chosen, [(before[row], after[row]) for row in kept]))
    last = steps[-1]
    passed = last.alike is None or last.alike <= MOST_ALIKE
    return RandomisationTest(tuple(steps), passed, _sentence(last, passed))


def layer_names(model: nn.Module) -> list[str]:
    """Return the modules that hold weights of their own, the last one defined first: the head, then what feeds it."""
    own = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    return own[::-1]


def randomised_copy(model: nn.Module, layers: list[str], seed: int) -> nn.Module:
    """Return a copy in which the weights of some modules are drawn anew, normal with each tensor's own scale.

    With their own scale answers neither vanish nor explode with depth, which would change a map for no good reason.
    Weights lose their mean; biases, scales of norms and single numbers keep it, and what is constant stays as it is.
    The same layer gets the same weights in every step. Statistics of batch norms are kept.
    """
    changed = copy.deepcopy(model)
    place = {name: number for number, name in enumerate(layer_names(model))}
    for layer in layers:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(place[layer],)))
        for parameter in changed.get_submodule(layer).parameters(recurse=False):
            with torch.no_grad():
                values = parameter.detach().float()
                is_weight = parameter.ndim > 1
                centre = 0.0 if is_weight else float(values.mean())
                scale = float(values.square().mean().sqrt()) if is_weight else float(values.std(correction=0))
                drawn = torch.from_numpy(rng.normal(centre, scale, size=tuple(parameter.shape)))
                parameter.copy_(drawn)
    return changed


def shift_stability(
    explain: Callable[[torch.Tensor], np.ndarray], images_BCHW: torch.Tensor, places: CellPlaces | None = None
) -> list[float | None]:
    """Return for each image the rank correlation of its map with those of the image moved by 1 px, moved back.

    The mean over four directions, on the image's grid without its outermost pixels; 1 where the map follows the image.
    `explain` gives maps_Bhw of the images it is handed, `places` as in `randomisation_test`. None where a map is blank,
    before or after: a map that vanishes is worth a look of its own. It is reported, not judged: a layer that strides by
    32 px may well jump.
    """
    heads_BHW = _heads(images_BCHW)
    heads_BHW[:, [0, -1], :] = heads_BHW[:, :, [0, -1]] = False
    before = _inside(explain(images_BCHW), heads_BHW, places)
    found: list[list[float | None]] = [[] for _ in before]
    for down_px, right_px in SHIFTS_PX:
        moved_BCHW = torch.from_numpy(_moved(images_BCHW.detach().cpu().numpy(), down_px, right_px))
        after_BHW = _on_image_grid(explain(moved_BCHW.to(images_BCHW)), heads_BHW, places)
        after = _inside(_moved(after_BHW, -down_px, -right_px), heads_BHW, None)
        for values, before_P, after_P in zip(found, before, after, strict=True):
            values.append(None if is_blank(before_P) or is_blank(after_P) else rank_correlation(before_P, after_P))
    return [_mean_of_all(values) for values in found]


def _heads(images_BCHW: torch.Tensor) -> np.ndarray:
    """Return heads_BHW; the whole image where no head is found."""
    grey_BHW = images_BCHW.detach().cpu().float().mean(dim=1).numpy()
    heads_BHW = np.stack([head_mask(grey_HW) for grey_HW in grey_BHW])
    heads_BHW[~heads_BHW.any(axis=(1, 2))] = True
    return heads_BHW


def _inside(maps_Bhw: np.ndarray, heads_BHW: np.ndarray, places: CellPlaces | None) -> list[np.ndarray]:
    """Return each map's values_P at the pixels of its head."""
    maps_BHW = _on_image_grid(maps_Bhw, heads_BHW, places)
    return [map_HW[head_HW] for map_HW, head_HW in zip(maps_BHW, heads_BHW, strict=True)]


def _on_image_grid(maps_Bhw: np.ndarray, heads_BHW: np.ndarray, places: CellPlaces | None) -> np.ndarray:
    grid_HW = (heads_BHW.shape[1], heads_BHW.shape[2])
    return np.stack([to_image_grid(map_hw, grid_HW, places) for map_hw in maps_Bhw])


def _step(chosen: list[str], pairs: list[tuple[np.ndarray, np.ndarray]]) -> RandomisedStep:
    found = [rank_correlation(*pair) for pair in pairs if not is_blank(pair[1])]
    sizes = [abs(value) for value in found if value is not None]
    alike = float(np.mean(sizes)) if sizes else None
    return RandomisedStep(chosen[-1], len(chosen), alike, len(sizes), len(pairs) - len(sizes))


def _sentence(last: RandomisedStep, passed: bool) -> str:
    if last.alike is None:
        return f"with {last.layers} layers randomised every map vanishes: it depends on the model"
    told = f"with {last.layers} layers randomised, mean |rank correlation| {last.alike:.2f} on {last.compared} images"
    if passed:
        return f"{told}: the map depends on the model"
    return f"{told}, more than {MOST_ALIKE}: the map hardly depends on the model, it may show edges"


def _moved(values: np.ndarray, down_px: int, right_px: int) -> np.ndarray:
    """Move the last two axes by at most a pixel; the edge is repeated, for what lies beyond it is not known."""
    height, width = values.shape[-2:]
    rows = np.clip(np.arange(height) - down_px, 0, height - 1)
    columns = np.clip(np.arange(width) - right_px, 0, width - 1)
    return np.ascontiguousarray(values[..., rows, :][..., columns])


def _mean_of_all(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if len(there) == len(values) else None
