"""Raw maps of the CAM methods: the grad-cam library's formulas, without its scaling.

The library's call scales each map to [0, 1], so that a faint one looks as sure as a strong one. Its extension point
`get_cam_image(input, layer, targets, activations, gradients)` gives the map before that. We call it with activations
and gradients of our own pass (`capture.py`): the library's hooks keep every forward pass and leave gradients behind.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import (
    FEM,
    KPCA_CAM,
    EigenCAM,
    EigenGradCAM,
    GradCAM,
    GradCAMElementWise,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    SegEigenCAM,
    ShapleyCAM,
    XGradCAM,
)
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.capture import LayerPass, Score, layer_pass
from trainables.explain.channel_weights import CHANNEL_WEIGHTS
from trainables.explain.explainers import METHODS
from trainables.explain.layers import SpatialLayer
from trainables.explain.localisation import EVEN_FRACTION
from trainables.explain.subject import Subject, class_score_B

MAX_EIGEN_CELLS = 4096  # 64 x 64; the full decomposition takes 3 s there and holds cells x cells numbers
FEWEST_FEM_CELLS = 6  # of n numbers none is more than sqrt(n - 1) standard deviations from their mean
_COMPARED_CLASSES = 3  # the nearest other classes, as the library's Finer-CAM has by default
_EIGEN = ("eigencam", "eigengradcam", "segeigencam", "kpcacam")
_FORMULAS: Mapping[str, type[Any]] = {
    "gradcam": GradCAM,
    "gradcam++": GradCAMPlusPlus,
    "gradcamelementwise": GradCAMElementWise,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
    "xgradcam": XGradCAM,
    "finercam": GradCAM,  # with a score of its own
    "shapleycam": ShapleyCAM,
    "eigencam": EigenCAM,
    "eigengradcam": EigenGradCAM,
    "segeigencam": SegEigenCAM,
    "kpcacam": KPCA_CAM,
    "fem": FEM,
}


def cam_map(subject: Subject, layer: SpatialLayer, method: str, target: int) -> np.ndarray:
    """Return the method's map_HW >= 0 on the layer's grid, in its own units: what speaks against the class is 0.

    The sign of a principal component is arbitrary: the maps of Eigen methods are turned so that their largest value is
    positive, and those that are of the class so that they agree with gradient times activation. Raises
    ExplanationError where the method cannot be right at this layer.
    """
    reason = _why_not_at(layer, method)
    if reason:
        raise ExplanationError(f"{method} at layer {layer.path}: {reason}")
    seen = layer_pass(subject, layer, _score(method, target), second_order=method == "shapleycam")
    if method in _EIGEN:
        _require_numbers(layer, method, seen)
    if method == "kpcacam" and _is_even(layer.to_BCHW(seen.activations)):
        return np.zeros(layer.grid, np.float32)
    if method in CHANNEL_WEIGHTS:
        weights_C = CHANNEL_WEIGHTS[method](subject, layer, seen, target)
        map_HW = torch.einsum("c,chw->hw", weights_C, layer.to_BCHW(seen.activations)[0]).cpu().numpy()
    else:
        map_HW = _library_map_HW(subject, layer, method, seen)
    if method in _EIGEN and _is_reversed(map_HW, layer, method, seen):
        map_HW = -map_HW
    return map_HW.clip(min=0)


def _require_numbers(layer: SpatialLayer, method: str, seen: LayerPass) -> None:
    """Refuse what the library would take for 0, or fail at."""
    used = [seen.activations, seen.gradients] if METHODS[method].class_specific else [seen.activations]
    if not all(bool(torch.isfinite(one).all()) for one in used):
        raise ExplanationError(f"{method} at layer {layer.path}: it holds values that are no numbers; use another")


def _is_even(maps_BCHW: Tensor) -> bool:
    """Return whether all cells hold the same: of these kernel PCA's first component is what rounding left."""
    spread = maps_BCHW.amax(dim=(2, 3)) - maps_BCHW.amin(dim=(2, 3))
    return bool(spread.max() <= EVEN_FRACTION * maps_BCHW.abs().max())


def _is_reversed(map_HW: np.ndarray, layer: SpatialLayer, method: str, seen: LayerPass) -> bool:
    """Return whether a principal component, whose sign is arbitrary, came out the wrong way round."""
    if not METHODS[method].class_specific:
        return bool(abs(map_HW.min()) > abs(map_HW.max()))
    for_class_HW = (layer.to_BCHW(seen.gradients) * layer.to_BCHW(seen.activations)).detach()[0].sum(dim=0)
    return bool((map_HW * for_class_HW.cpu().numpy()).sum() < 0)


def _why_not_at(layer: SpatialLayer, method: str) -> str:
    rows, columns = layer.grid
    if method in _EIGEN and rows * columns > MAX_EIGEN_CELLS:
        return (
            f"its decomposition holds the square of {rows} x {columns} cells, and at most {MAX_EIGEN_CELLS} cells "
            "are let through; name a later layer"
        )
    if method == "shapleycam" and layer.layout != "BCHW":
        return "it needs a second derivative, which attention has not, and channels first; use gradcam or relevance"
    if method == "fem" and rows * columns < FEWEST_FEM_CELLS:
        return f"none of {rows} x {columns} cells can be two standard deviations above their mean; use another method"
    return ""


def _score(method: str, target: int) -> Score:
    if method != "finercam":
        return lambda logits_BK: class_score_B(logits_BK, target)

    def against_the_nearest(logits_BK: Tensor) -> Tensor:
        if logits_BK.shape[1] == 1:
            raise ExplanationError("finercam compares classes, and the model has one logit; use gradcam")
        distances_K = (logits_BK[0] - logits_BK[0, target]).abs().detach()
        others = [int(other) for other in distances_K.argsort(stable=True) if int(other) != target]
        # The library divides probabilities by their sum and a constant, which in a confident model exceeds it.
        others_BN = logits_BK[:, others[:_COMPARED_CLASSES]]
        return (torch.softmax(others_BN, dim=1) * (logits_BK[:, target, None] - others_BN)).sum(dim=1)

    return against_the_nearest


def _library_map_HW(subject: Subject, layer: SpatialLayer, method: str, seen: LayerPass) -> np.ndarray:  # noqa: N802
    formula = _FORMULAS[method](nn.Linear(1, 1), [])  # of the model it would only keep every forward pass
    activations, gradients = layer.to_BCHW(seen.activations), layer.to_BCHW(seen.gradients)
    given: tuple[Any, Any]
    if method == "shapleycam":
        # Where the gradient does not depend on the maps, autograd needs to hear that its derivative is zero.
        given = activations, gradients + 0 * activations.sum()
    else:
        given = activations.detach().cpu().numpy(), gradients.cpu().numpy()
    map_HW: np.ndarray = formula.get_cam_image(subject.image_1CHW, layer.module, [], *given, False)[0]
    return map_HW
