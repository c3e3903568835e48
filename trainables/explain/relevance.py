"""Gradient-weighted relevance of attention, per class.

The simple form of Chefer et al., ICCV 2021 (arXiv:2103.15679), for self-attention. Their CVPR 2021 form, which carries
relevance by LRP through every layer (arXiv:2012.09838), is not built: it needs each layer rewritten.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.errors import ExplanationError, first_line


def relevance_BNN(score: Tensor, blocks: Sequence[Tensor]) -> Tensor:  # noqa: N802
    """Return R - I; R begins as I and each block adds C R, with C the mean over heads of ReLU(gradient x attention).

    `score` is a sum over images of what was computed from attention_BHNN of the blocks; parameters get no gradient.
    What every token has of itself (I) is left out, so that no relevance is 0. Raises ExplanationError where the score
    does not depend on a block's attention by autograd.
    """
    try:
        gradients = torch.autograd.grad(score, list(blocks))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = first_line(error, 160)
        raise ExplanationError(f"the class's logit has no gradient by every block's attention ({reason})") from error
    num_tokens = blocks[0].shape[-1]
    identity_NN = torch.eye(num_tokens, dtype=torch.float32, device=blocks[0].device)
    relevance_BNN = identity_NN.expand(len(blocks[0]), -1, -1)
    for attention_BHNN, gradient_BHNN in zip(blocks, gradients, strict=True):
        change_BNN = (gradient_BHNN.float() * attention_BHNN.detach().float()).clamp(min=0).mean(dim=1)
        relevance_BNN = relevance_BNN + change_BNN @ relevance_BNN
    return relevance_BNN - identity_NN
