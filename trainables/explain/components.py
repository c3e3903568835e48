"""Which of a model's two branches an answer rests on, and whether their maps agree."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError, first_line
from trainables.explain.display import display_maps
from trainables.explain.private_copy import private_copy, undisturbed
from trainables.explain.rank_correlation import rank_correlation
from trainables.explain.subject import class_score_B
from trainables.inference import logits_of

TOP_FRACTION = 0.2


@dataclass(frozen=True)
class BranchShare:
    """What the first of two branches gives to one answer.

    `norm_share` is that of the stroke project: the length of its features in the sum of both lengths. It compares a
    vector of other size and scale, so it tells of the network more than of the image. `shapley` are the parts of both
    branches in the class's logit above that of a mean image, two players, exact: they sum to `above_baseline`.
    """

    norm_share: float
    shapley: tuple[float, float]
    above_baseline: float


@dataclass(frozen=True)
class MapAgreement:
    """How alike two maps of one image are; None where one of them is the same everywhere."""

    rank_correlation: float | None
    top_overlap: float | None  # of the brightest fifth of each, their common share: 0.2 by chance


def branch_shares(
    model: nn.Module, x_BMHW: Tensor, classes_B: Sequence[int], reference_NMHW: Tensor, branches: tuple[str, str]
) -> list[BranchShare]:
    """Return for each case what two submodules give to the logit of a class.

    A branch is taken out by putting the mean of its output over the reference cases in its place. Four forward passes
    a case; the model is left as it is. Raises ExplanationError for a branch that is not called once a pass, and where
    no mean can stand in its place.
    """
    device = next(model.parameters()).device
    with undisturbed(device), torch.no_grad(), _told_of(branches):
        private = private_copy(model)
        modules = [private.get_submodule(name) for name in branches]
        cases, reference = x_BMHW.to(device).float(), reference_NMHW.to(device).float()
        outputs = _outputs(private, modules, cases)
        means = [output.mean(dim=0, keepdim=True) for output in _outputs(private, modules, reference)]

        def scores(*taken_out: int) -> np.ndarray:
            with _replaced([(modules[place], means[place]) for place in taken_out]):
                logits_BK = logits_of(private, cases).float()
            rows = [class_score_B(logits_BK[n : n + 1], target) for n, target in enumerate(classes_B)]
            return torch.cat(rows).cpu().numpy().astype(float)

        both, first, second, none = scores(), scores(1), scores(0), scores(0, 1)
    first_parts = ((first - none) + (both - second)) / 2
    second_parts = ((second - none) + (both - first)) / 2
    norms = [_lengths(output) for output in outputs]
    return [
        BranchShare(
            norm_share=float(norms[0][n] / max(norms[0][n] + norms[1][n], np.finfo(np.float32).tiny)),
            shapley=(float(first_parts[n]), float(second_parts[n])),
            above_baseline=float(both[n] - none[n]),
        )
        for n in range(len(classes_B))
    ]


@contextmanager
def _told_of(branches: tuple[str, str]) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = first_line(error, 160)
        raise ExplanationError(f"branches {' and '.join(branches)} cannot be compared ({reason})") from error


def map_agreement(first_hw: np.ndarray, second_hw: np.ndarray, head_HW: np.ndarray | None) -> MapAgreement:
    """Return how alike two raw maps are on the image's grid, within the head: air, which both leave dark, would count.

    Negative evidence counts as none. Without a head they are compared on the first one's grid.
    """
    image_hw = first_hw.shape if head_HW is None else head_HW.shape
    maps_P = [display_maps(one[None], (image_hw[0], image_hw[1]))[0] for one in (first_hw, second_hw)]
    maps_P = [one_HW.ravel() if head_HW is None else one_HW[head_HW] for one_HW in maps_P]
    correlation = rank_correlation(*maps_P)
    if correlation is None:
        return MapAgreement(None, None)
    first_P, second_P = (_brightest(one_P) for one_P in maps_P)
    return MapAgreement(correlation, float((first_P * second_P).sum() / first_P.sum()))


def _brightest(map_P: np.ndarray) -> np.ndarray:
    """Return how likely each pixel is among the brightest, where ties are broken by lot: much of a map may be 0."""
    count = max(1, round(TOP_FRACTION * map_P.size))
    least = np.partition(map_P, -count)[-count]
    above_P, tied_P = map_P > least, map_P == least
    return np.asarray(above_P + tied_P * (count - above_P.sum()) / tied_P.sum())


def _lengths(output: Tensor) -> np.ndarray:
    """Return the length of each image's features, maps averaged over space as the head sees them."""
    features_BF = output.float().mean(dim=(2, 3)) if output.ndim == 4 else output.float().flatten(1)
    lengths: np.ndarray = features_BF.norm(dim=1).cpu().numpy()
    return lengths


def _outputs(model: nn.Module, modules: Sequence[nn.Module], x_BMHW: Tensor) -> list[Tensor]:
    seen: dict[int, list[Tensor]] = {place: [] for place in range(len(modules))}
    handles = [module.register_forward_hook(_keeping(seen[place])) for place, module in enumerate(modules)]
    try:
        logits_of(model, x_BMHW)
    finally:
        for handle in handles:
            handle.remove()
    for place, outputs in seen.items():
        if len(outputs) != 1 or not isinstance(outputs[0], Tensor):
            raise ExplanationError(f"branch {place} is called {len(outputs)} times in a pass, not once")
    return [outputs[0] for outputs in seen.values()]


def _keeping(outputs: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # A clone: what follows may add the other branch's output to this one in place.
        outputs.append(output.clone() if isinstance(output, Tensor) else output)

    return keep


@contextmanager
def _replaced(replacements: Sequence[tuple[nn.Module, Tensor]]) -> Iterator[None]:
    """Let modules give one value for every image."""

    def giving(value: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda module, inputs, output: value.expand_as(output).clone()

    handles = [module.register_forward_hook(giving(value)) for module, value in replacements]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
