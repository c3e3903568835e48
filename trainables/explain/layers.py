"""Which layer a dotted path means, and how its output is read as maps.

A path that ends at a backbone of timm means its last spatial layer. Of a CNN that is what `forward_features` gives:
after the last activation, before the head pools. Of a ViT it is `norm1` of the last block, the last layer all of whose
tokens still meet the class token. A model without a backbone: see `last_layer.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from trainables.errors import ExplanationError, OneCell
from trainables.explain.cell_places import CellPlaces, cell_places
from trainables.explain.last_layer import last_activation
from trainables.explain.map_layout import Layout, layout_of
from trainables.explain.subject import Subject
from trainables.explain.tracing import Trace, trace


@dataclass(frozen=True)
class SpatialLayer:
    """A module whose output is a grid of features: a map per channel (BCHW or BHWC), or tokens (BNC)."""

    path: str
    module: nn.Module
    layout: Layout
    grid: tuple[int, int]
    places: CellPlaces
    num_prefix: int = 0  # class and register tokens before those of the grid

    @property
    def channel_axis(self) -> int:
        """Return the axis of the output that counts channels."""
        return {"BCHW": 1, "BHWC": 3, "BNC": 2}[self.layout]

    def to_BCHW(self, output: Tensor) -> Tensor:  # noqa: N802
        """Return the output as maps; tokens before those of the grid are left out."""
        if self.layout == "BCHW":
            return output
        if self.layout == "BHWC":
            return output.permute(0, 3, 1, 2)
        patches_BNC = output[:, self.num_prefix :]
        return patches_BNC.transpose(1, 2).reshape(len(output), -1, *self.grid)


def spatial_layer(subject: Subject, path: str) -> SpatialLayer:
    """Return what `path` means in this model, found by one forward pass.

    Raises ExplanationError for a path that leads nowhere, or to what has no grid of more than one cell.
    """
    backbone_path = backbone_at(subject.model, path)
    backbone = None if backbone_path is None else subject.model.get_submodule(backbone_path)
    vit = backbone is not None and is_vit(backbone)
    seen = trace(subject.model, lambda: subject.logits_BK(subject.image_1CHW), None if vit else backbone)
    if backbone_path is None:
        path = full_path(subject.model, path) if path else last_activation(seen, subject.image_hw)
    elif vit:
        path = _last_attention_input(subject.model, backbone_path)
    else:
        path = _features_path(seen, backbone_path)
    return _described(subject, path, seen)


def backbone_at(model: nn.Module, path: str) -> str | None:
    """Return the path of the backbone of timm that `path` names, the only one where it is empty; None for no backbone.

    Raises ExplanationError for a path that leads nowhere, and for an empty one where there are several backbones.
    """
    if path:
        path = full_path(model, path)
        return path if _is_backbone(model.get_submodule(path)) else None
    paths = _outermost_backbones(model, "")
    if len(paths) > 1:
        raise ExplanationError(f"the model has the backbones {' and '.join(paths)}: name one as the layer")
    return paths[0] if paths else None


def is_vit(module: nn.Module) -> bool:
    """Return whether a module is a ViT as timm writes them: patches, class and register tokens, blocks."""
    parts = ("patch_embed", "num_prefix_tokens", "blocks", "global_pool")
    return all(hasattr(module, part) for part in parts) and hasattr(module.patch_embed, "grid_size")


def patch_grid(vit: nn.Module, image_hw: tuple[int, int]) -> tuple[int, int]:
    """Return how many patches an image of this size has, down and across."""
    embed: Any = vit.patch_embed
    if getattr(embed, "dynamic_img_pad", False) or not getattr(embed, "strict_img_size", True):
        height, width = embed.dynamic_feat_size(image_hw)
    else:
        height, width = embed.grid_size
    return int(height), int(width)


def _is_backbone(module: nn.Module) -> bool:
    return hasattr(module, "forward_features")


def _outermost_backbones(module: nn.Module, path: str) -> list[str]:
    if _is_backbone(module):
        return [path]
    children = [(f"{path}.{name}" if path else name, child) for name, child in module.named_children()]
    return [found for name, child in children for found in _outermost_backbones(child, name)]


def full_path(model: nn.Module, path: str) -> str:
    """Return the path with numbers from the end counted from the start. Raises ExplanationError with what there is."""
    module = model
    done: list[str] = []
    for part in path.split("."):
        names = [name for name, _ in module.named_children()]
        if part.startswith("-") and part[1:].isdecimal() and int(part) >= -len(names):
            part = names[int(part)]
        if part not in names:
            where = ".".join(done) or "the model"
            has = f"but {', '.join(names[:12])}" if names else "as it holds no layers"
            near = get_close_matches(part, names, n=1)
            meant = f"; did you mean {'.'.join([*done, *near])}?" if near else ""
            raise ExplanationError(f"no layer {path!r}: {where} has no {part!r}, {has}{meant}")
        module = module.get_submodule(part)
        done.append(part)
    return ".".join(done)


def _last_attention_input(model: nn.Module, vit_path: str) -> str:
    blocks: Sequence[nn.Module] = list(model.get_submodule(vit_path).blocks.children())  # type: ignore[union-attr]
    if not blocks or not hasattr(blocks[-1], "norm1"):
        raise ExplanationError(f"{vit_path or 'the model'}: its last block has no norm1: name a layer")
    return ".".join(part for part in (vit_path, f"blocks.{len(blocks) - 1}.norm1") if part)


def _features_path(seen: Trace, backbone_path: str) -> str:
    where = backbone_path or "the model"
    if not seen.features_given:
        raise ExplanationError(f"{where}: its forward pass does not call forward_features: name a layer within")
    if seen.features_path is None:
        raise ExplanationError(f"{where}: its last features are the output of no module: name a layer within")
    return seen.features_path


def _described(subject: Subject, path: str, seen: Trace) -> SpatialLayer:
    asked = subject.model.get_submodule(path)  # one that two branches share is traced under its first path
    outputs = [one for one in seen.finished if one.module is asked]
    if not outputs:
        raise ExplanationError(f"layer {path}: gives no tensor in a forward pass, so it has no map")
    shape, module = outputs[-1].shape, outputs[-1].module
    around = _around(subject.model, path)
    hiera: Any = next((outer for outer in around if hasattr(outer, "mask_spatial_shape")), None)
    if hiera is not None and shape[1] != math.prod(hiera.mask_spatial_shape):
        raise ExplanationError(f"layer {path}: Hiera's tokens are in no order of rows before its last stage; name that")
    if shape[0] != 1:
        raise ExplanationError(f"layer {path}: its output {shape} is in windows of the image; name the block around it")
    vit = next((outer for outer in reversed(around) if is_vit(outer)), None)
    grid = None if vit is None else patch_grid(vit, subject.image_hw)
    num_prefix: int = 0 if vit is None else vit.num_prefix_tokens  # type: ignore[assignment]
    found = layout_of(shape, subject.image_hw, grid, num_prefix)
    if found is None:
        raise ExplanationError(f"layer {path}: its output {shape} is no grid of the image; name a layer before it")
    layout, (height, width) = found
    if height * width == 1:
        raise OneCell(
            f"layer {path}: its map of a {subject.image_hw[0]} px image is one cell, which shows no place; "
            "name an earlier layer or train with larger images"
        )
    others = shape[1] - height * width if layout == "BNC" else 0
    places = cell_places(seen.finished, outputs[-1].path, (height, width), subject.image_hw)
    return SpatialLayer(path, module, layout, (height, width), places, others)


def _around(model: nn.Module, path: str) -> list[nn.Module]:
    parts = path.split(".")
    return [model] + [model.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts) + 1)]
