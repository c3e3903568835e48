"""Attention from one image of a case to the other, as a map of the image that is asked.

Its weights are those before dropout, on the path of the gradient, of any module that applies its child `attn_drop` to
them. Relevance is the form of Chefer et al., ICCV 2021 (arXiv:2103.15679), for one layer of attention between images.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import ExplanationError
from trainables.explain.layers import full_path
from trainables.explain.subject import Subject


def cross_map(subject: Subject, path: str, method: str, target: int) -> np.ndarray:
    """Return map_hw >= 0 over the patches that are asked: what they are given, or give to the class.

    `crossattention` counts attention in multiples of an even share, mean over heads and asking tokens; `crossrelevance`
    is gradient times attention, where that is above 0. `path` is one of `attention_path`. Raises ExplanationError where
    the attention does not run once in a pass, or not between square grids.
    """
    module = subject.model.get_submodule(path)
    image_1CHW = subject.image_1CHW.clone().requires_grad_()
    with attention_weights(module) as seen:
        score = subject.score_B(image_1CHW, target).sum()
    if len(seen) != 1:
        raise ExplanationError(f"{path}: its attention runs {len(seen)} times in a pass, not once")
    weights_HQK = seen[0][0].float()
    rows, columns, prefix = token_grid(weights_HQK.shape[2], path)
    if method == "crossrelevance":
        (gradient,) = torch.autograd.grad(score, seen[0], allow_unused=True)
        if gradient is None:
            raise ExplanationError(f"{path}: the class's logit does not depend on its attention")
        given_K = (gradient[0].float() * weights_HQK).clamp(min=0).mean(dim=0).sum(dim=0)[prefix:]
    else:
        given_K = patch_attention(weights_HQK, prefix).mean(dim=(0, 1)) * rows * columns
    map_hw: np.ndarray = given_K.detach().reshape(rows, columns).cpu().numpy()
    return map_hw


def attention_path(model: nn.Module, path: str) -> str:
    """Return the whole path of an attention. Raises ExplanationError for what is none, and without a path."""
    if not path:
        raise ExplanationError("which attention? name its layer")
    found = full_path(model, path)
    if not isinstance(getattr(model.get_submodule(found), "attn_drop", None), nn.Module):
        raise ExplanationError(f"{path} is no attention whose weights can be read (it has no attn_drop)")
    return found


@contextmanager
def attention_weights(module: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list which forward passes fill with the module's weights_BHQK."""
    seen: list[Tensor] = []
    drop = module.get_submodule("attn_drop")
    handle = drop.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        handle.remove()


def token_grid(num_tokens: int, path: str) -> tuple[int, int, int]:
    """Return rows and columns of the patches among tokens, and how many class tokens stand before them."""
    for prefix in (0, 1):
        side = math.isqrt(num_tokens - prefix)
        if side > 1 and side * side == num_tokens - prefix:
            return side, side, prefix
    raise ExplanationError(f"{path}: {num_tokens} tokens are no square grid of patches, with or without a class token")


def patch_attention(weights_HQK: Tensor, prefix: int) -> Tensor:
    """Return the attention between patches alone; each row sums to 1 again without the share of class tokens."""
    patches_HQK = weights_HQK[:, prefix:, prefix:]
    return patches_HQK / patches_HQK.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(patches_HQK.dtype).tiny)
