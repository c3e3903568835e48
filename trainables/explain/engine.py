"""A model, images and classes -> raw maps. Drawing is elsewhere (`display.py`), and so is proof."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.attention import AttentionPass, Vit, attention_pass, is_readable, vit_at
from trainables.explain.cams import cam_map
from trainables.explain.cell_places import CellPlaces, evenly
from trainables.explain.cross_attention import attention_path, cross_map
from trainables.explain.explainers import AUTO, METHODS, Explainer
from trainables.explain.gate import gate_map
from trainables.explain.layers import backbone_at, is_vit, spatial_layer
from trainables.explain.localisation import to_image_grid
from trainables.explain.occlusion import occlusion_map
from trainables.explain.private_copy import private_copy, undisturbed
from trainables.explain.relevance import relevance_BNN
from trainables.explain.rollout import rollout_BNN
from trainables.explain.subject import Images, Subject, Targets, checked_images, checked_logits_BK, checked_targets


@dataclass(frozen=True)
class Explanation:
    """Raw maps of some cases: float32 on the layer's own grid, unscaled and finite; what they are of, and from where.

    Maps of one method at one layer compare across images; those of different methods have different units. Occlusion's
    are below 0 where hiding helps the class; all others begin at 0. `places` says where in the image its cells lie.
    """

    maps_BHW: np.ndarray
    targets_B: np.ndarray
    logits_BK: np.ndarray
    method: str
    layer: str  # empty where the whole model was asked
    places: CellPlaces
    image: int = 0  # which of the case's

    @property
    def grid(self) -> tuple[int, int]:
        """Return rows and columns of the maps."""
        return self.maps_BHW.shape[1], self.maps_BHW.shape[2]

    def on_image(self, case: int, image_HW: tuple[int, int]) -> np.ndarray:
        """Return the map_HW of one case on the image's grid, every cell where its layer looks at."""
        return to_image_grid(self.maps_BHW[case], image_HW, self.places)

    @property
    def no_positive_evidence_B(self) -> np.ndarray:  # noqa: N802
        """Return for which cases nothing in the image speaks for the class: there is no map to draw."""
        return np.array([not (map_HW > 0).any() for map_HW in self.maps_BHW])


def explain(model: nn.Module, images: Images, targets_B: Targets, explainer: Explainer) -> Explanation:
    """Return a raw map per case of where the image speaks for a class.

    `images` are what the model takes, [B, C, H, W], for a model of several images per case one such tensor each; the
    map is of the explainer's, the others are held constant. `targets_B` are class indices; a model with one logit
    has the classes 0 (its negative) and 1. The model gives logits [B, K] or [B, 1]; it may be in training, frozen,
    half precision or compiled, and is left as it is, to the bit. Cases are computed one by one in float32: a map does
    not depend on what is in the batch.
    Raises ExplanationError, never a map that means nothing.
    """
    if not isinstance(model, nn.Module):
        raise ExplanationError(f"the model is a {type(model).__name__}: expected an nn.Module, whose layers have paths")
    device = next((one.device for one in model.state_dict().values() if isinstance(one, Tensor)), torch.device("cpu"))
    if device.type == "meta":
        raise ExplanationError("the model has shapes and no values (device meta): load its weights")
    with undisturbed(device):
        private = private_copy(model)
        cases = checked_images(images, device, explainer.image)
        targets = checked_targets(targets_B, len(cases[0]))
        logits_BK = checked_logits_BK(private, cases, targets)
        method = _chosen(private, explainer)
        split = zip(*(one.split(1) for one in cases), strict=True)
        subjects = [Subject(private, one_case, explainer.image) for one_case in split]
        maps_BHW, layer, places = _maps(subjects, targets, method, explainer)
    if not np.isfinite(maps_BHW).all():
        raise ExplanationError(
            f"{method} at layer {layer or 'all'}: its map has values that are no numbers; use another"
        )
    return Explanation(maps_BHW, np.array(targets), logits_BK.cpu().numpy(), method, layer, places, explainer.image)


def _chosen(model: nn.Module, explainer: Explainer) -> str:
    if explainer.method != AUTO:
        return explainer.method
    path = backbone_at(model, explainer.layer)
    backbone = None if path is None else model.get_submodule(path)
    return "relevance" if backbone is not None and is_vit(backbone) and is_readable(backbone) else "gradcam"


def _maps(
    subjects: list[Subject], targets: list[int], method: str, explainer: Explainer
) -> tuple[np.ndarray, str, CellPlaces]:
    path, cases, places = explainer.layer, list(zip(subjects, targets, strict=True)), None
    if METHODS[method].family == "cam":
        layer = spatial_layer(subjects[0], path)
        maps = [cam_map(subject, layer, method, target) for subject, target in cases]
        path, places = layer.path, layer.places
    elif METHODS[method].family == "attention":
        vit = vit_at(subjects[0], path)
        passes = (attention_pass(subject, vit, target) for subject, target in cases)
        maps, path = (
            [vit.patches_HW(_tokens_NN(seen, vit, method, explainer)).cpu().numpy() for seen in passes],
            vit.path,
        )
    elif METHODS[method].family == "cross":
        path = attention_path(subjects[0].model, path)
        maps = [cross_map(subject, path, method, target) for subject, target in cases]
    elif METHODS[method].family == "gate":
        if not path:
            raise ExplanationError("gate: which gate? name its layer")
        layer = spatial_layer(subjects[0], path)
        maps = [gate_map(subject, layer) for subject in subjects]
        path, places = layer.path, layer.places
    elif path:
        raise ExplanationError(f"occlusion looks at the whole model: leave the layer {path!r} out")
    else:
        maps = [occlusion_map(partial(subject.score_B, target=target), subject.image_1CHW) for subject, target in cases]
    maps_BHW = np.stack(maps).astype(np.float32)
    return maps_BHW, path, places or evenly((maps_BHW.shape[1], maps_BHW.shape[2]), subjects[0].image_hw)


def _tokens_NN(seen: AttentionPass, vit: Vit, method: str, explainer: Explainer) -> Tensor:  # noqa: N802
    if method == "relevance":
        return relevance_BNN(seen.score, seen.blocks)[0]
    return rollout_BNN(
        [block.detach().float() for block in seen.blocks],
        head_fusion=explainer.head_fusion,
        discard_fraction=explainer.discard_fraction,
        num_prefix=vit.num_prefix,
    )[0]
