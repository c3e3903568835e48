"""Attention of a ViT as timm writes them: the weights of each block, on the path of the gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.layers import backbone_at, is_vit, patch_grid
from trainables.explain.subject import Subject


@dataclass(frozen=True)
class AttentionPass:
    """What one image's pass gave: the score, and attention_BHNN of each block, from which it was computed."""

    score: Tensor
    blocks: Sequence[Tensor]


@dataclass(frozen=True)
class Vit:
    """A ViT within a model: its patches' grid, the tokens before them, and the rows of tokens that its head reads."""

    path: str
    module: nn.Module
    grid: tuple[int, int]
    num_prefix: int
    read: slice

    def patches_HW(self, relevance_NN: Tensor) -> Tensor:  # noqa: N802
        """Return, per patch, the mean of the rows that the head reads."""
        return relevance_NN[self.read, self.num_prefix :].mean(dim=0).reshape(self.grid)


def vit_at(subject: Subject, path: str) -> Vit:
    """Return the ViT that `path` names. Raises ExplanationError for what is none, or whose pooling is unknown."""
    found = backbone_at(subject.model, path)
    where = path or "the model"
    if found is None or not is_vit(subject.model.get_submodule(found)):
        raise ExplanationError(
            f"{where} is no ViT of timm, so it has no attention from all patches to all; use gradcam"
        )
    module: Any = subject.model.get_submodule(found)
    grid = patch_grid(module, subject.image_hw)
    return Vit(found, module, grid, module.num_prefix_tokens, _require_rows(module, where))


def attention_pass(subject: Subject, vit: Vit, target: int) -> AttentionPass:
    """Run one image; the score depends on the attention through autograd.

    Raises ExplanationError for a model whose attention cannot be had, or is not from all tokens to all.
    """
    where = vit.path or "the model"
    with captured_attention(vit.module) as blocks:
        image_1CHW = subject.image_1CHW.clone().requires_grad_()
        score = subject.score_B(image_1CHW, target).sum()
    num_tokens = vit.num_prefix + vit.grid[0] * vit.grid[1]
    num_blocks = len(list(vit.module.blocks.children()))  # type: ignore[union-attr]
    if len(blocks) != num_blocks:
        raise ExplanationError(f"{where}: {len(blocks)} of {num_blocks} blocks showed their attention; use gradcam")
    for block in blocks:
        if block.shape[2:] != (num_tokens, num_tokens):
            raise ExplanationError(
                f"{where}: attention has the shape {tuple(block.shape)}, and it has {num_tokens} tokens: "
                "not from all to all (windows, or tokens left out); use gradcam"
            )
        if not torch.allclose(block.detach().sum(dim=3), block.new_ones(()), atol=1e-3):
            raise ExplanationError(
                f"{where}: rows of its attention do not sum to 1, so shares mean nothing; use gradcam"
            )
    return AttentionPass(score, blocks)


@contextmanager
def captured_attention(vit: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list which forward passes fill with each block's attention_BHNN, before dropout.

    Fused kernels never hold it, so they are off within, module by module, and as before afterwards.
    Raises ExplanationError for blocks that are not timm's, or have several attentions.
    """
    modules = _attentions(vit)
    if modules is None:
        kind = type(vit).__name__
        raise ExplanationError(f"{kind}: its blocks have no attention of timm's form, which could be read; use gradcam")
    fused = [attn.fused_attn for attn in modules]
    captured: list[Tensor] = []
    # The dropout's input is the softmax itself, and what follows is computed from it.
    handles = [attn.attn_drop.register_forward_pre_hook(lambda _, given: captured.append(given[0])) for attn in modules]
    try:
        for attn in modules:
            attn.fused_attn = False
        yield captured
    finally:
        for handle in handles:
            handle.remove()
        for attn, was in zip(modules, fused, strict=True):
            attn.fused_attn = was


def is_readable(vit: nn.Module) -> bool:
    """Return whether a ViT's attention can be read, and the rows to read are known."""
    return _attentions(vit) is not None and _rows(vit) is not None


def _attentions(vit: Any) -> list[Any] | None:
    """Return timm's self-attentions, one a block; others (talking heads, several a block) are not of this form."""
    modules = [getattr(block, "attn", None) for block in vit.blocks.children()]
    ours = all(hasattr(attn, "attn_drop") and hasattr(attn, "fused_attn") for attn in modules)
    return modules if modules and ours else None


def _rows(vit: Any) -> slice | None:
    """Return which tokens the head reads."""
    if vit.global_pool == "token":
        return slice(0, 2 if hasattr(vit, "head_dist") else 1)  # a distilled model's two heads read a token each
    if vit.global_pool == "avg":
        return slice(0 if getattr(vit, "pool_include_prefix", False) else vit.num_prefix_tokens, None)
    return None


def _require_rows(vit: Any, where: str) -> slice:
    rows = _rows(vit)
    if rows is not None:
        return rows
    raise ExplanationError(
        f"{where}: its head pools tokens by {vit.global_pool!r}, not by class token or mean: "
        "whose rows to read is unknown; use gradcam"
    )
