"""Attention rollout: how much of each patch reaches the tokens that the head reads, whatever the class.

Abnar and Zuidema 2020 (arXiv:2005.00928).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

HEAD_FUSIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda attention_BHNN: attention_BHNN.mean(dim=1),
    "max": lambda attention_BHNN: attention_BHNN.amax(dim=1),
    "min": lambda attention_BHNN: attention_BHNN.amin(dim=1),
}


def rollout_BNN(  # noqa: N802
    blocks: Sequence[Tensor], *, head_fusion: str = "mean", discard_fraction: float = 0.0, num_prefix: int = 1
) -> Tensor:
    """Return the product over blocks of (A + I) / 2, rows scaled to sum 1; A is attention_BHNN with its heads fused.

    `discard_fraction` in [0, 1) of each row's smallest weights is left out before, but never what a token has of
    itself (the residual path) or of the first `num_prefix` tokens (class and registers).
    Raises ValueError for a fusion or fraction that there is not.
    """
    if head_fusion not in HEAD_FUSIONS:
        raise ValueError(f"head_fusion={head_fusion!r}: expected {', '.join(HEAD_FUSIONS)}")
    if not 0 <= discard_fraction < 1:
        raise ValueError(f"discard_fraction={discard_fraction}: must be at least 0 and below 1")
    num_tokens = blocks[0].shape[-1]
    identity_NN = torch.eye(num_tokens, dtype=blocks[0].dtype, device=blocks[0].device)
    rolled_BNN = identity_NN.expand(len(blocks[0]), -1, -1)
    for attention_BHNN in blocks:
        fused_BNN = _without_smallest(HEAD_FUSIONS[head_fusion](attention_BHNN), discard_fraction, num_prefix)
        mixed_BNN = (fused_BNN + identity_NN) / 2
        rolled_BNN = mixed_BNN / mixed_BNN.sum(dim=2, keepdim=True) @ rolled_BNN  # a row holds 1/2 at least: no NaN
    return rolled_BNN


def _without_smallest(fused_BNN: Tensor, fraction: float, num_prefix: int) -> Tensor:
    kept_NN = torch.eye(fused_BNN.shape[-1], dtype=torch.bool, device=fused_BNN.device)
    kept_NN[:, :num_prefix] = True
    num_discarded = int(fraction * (fused_BNN.shape[-1] - num_prefix))
    if num_discarded == 0:
        return fused_BNN
    ranked_BNN = fused_BNN.masked_fill(kept_NN, torch.inf)  # last in order, so never among the smallest
    smallest_BNM = ranked_BNN.argsort(dim=2, stable=True)[:, :, :num_discarded]
    gone_BNN = torch.zeros_like(fused_BNN, dtype=torch.bool).scatter(2, smallest_BNM, True) & ~kept_NN
    return fused_BNN.masked_fill(gone_BNN, 0)
