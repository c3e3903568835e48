"""What a dual cross-attention model shows of each case, taken from one pass of a copy of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.configs.record import Architecture
from trainables.errors import ExplanationError
from trainables.explain.cross_attention import attention_path, attention_weights, patch_attention, token_grid
from trainables.explain.cross_look import CrossLook
from trainables.explain.explained import Explained
from trainables.explain.explainers import CrossAttention
from trainables.explain.layers import full_path
from trainables.explain.private_copy import private_copy, undisturbed
from trainables.inference import logits_of


def cross_looks(explained: Explained, cases: Sequence[int]) -> Iterator[CrossLook]:
    """Yield what each case shows. Raises ExplanationError where the record's paths do not fit the model.

    Attention to and from a class token is left out; rows of the rest sum to 1 again.
    """
    paths = _paths_of(explained.architecture)
    names = explained.architecture.image_names
    device = next(explained.model.parameters()).device
    model = private_copy(explained.model)
    for n in cases:
        with undisturbed(device), torch.no_grad():
            seen = _pass(model, paths, explained.input_of([n]).to(device))
        attention_2HQK = torch.stack([weights_1HQK[0] for weights_1HQK in seen["attention"]]).float()
        rows, columns, prefix = token_grid(attention_2HQK.shape[-1], paths.last[0])
        before_2ND, after_2ND = (torch.cat(seen[key]).float()[:, prefix:] for key in ("before", "after"))
        fused_ND = after_2ND.permute(1, 0, 2).flatten(1)
        yield CrossLook(
            names=(names[0], names[1]),
            images_2HW=explained.images_NMHW[n],
            attention_2HQK=np.stack([patch_attention(one, prefix).cpu().numpy() for one in attention_2HQK]),
            before_2ND=before_2ND.cpu().numpy(),
            after_2ND=after_2ND.cpu().numpy(),
            features_2CHW=torch.cat(seen["features"]).float().cpu().numpy(),
            fused_DHW=fused_ND.T.reshape(-1, rows, columns).cpu().numpy(),
            grid=(rows, columns),
        )


def _paths_of(architecture: Architecture) -> CrossAttention:
    if architecture.cross is None:
        raise ExplanationError(f"{architecture.name}: has no attention between two images")
    return architecture.cross


def _pass(model: nn.Module, paths: CrossAttention, x_1MHW: Tensor) -> dict[str, list[Tensor]]:
    """Return from one pass the attention both ways, tokens before the first layers and after the last, and features."""
    seen: dict[str, list[Tensor]] = {"attention": [], "before": [], "after": [], "features": []}

    def module_at(path: str) -> nn.Module:
        return model.get_submodule(full_path(model, path))

    def keep_input(module: nn.Module, given: tuple[Any, ...]) -> None:
        seen["before"].append(given[0].detach())

    def keep(key: str) -> Any:
        return lambda module, given, output: seen[key].append(output.detach())

    with ExitStack() as stack:
        attentions = [model.get_submodule(attention_path(model, f"{at}.attention")) for at in paths.last]
        weights = [stack.enter_context(attention_weights(module)) for module in attentions]
        for path in paths.first:
            stack.callback(module_at(path).register_forward_pre_hook(keep_input).remove)
        for path in paths.last:
            stack.callback(module_at(path).register_forward_hook(keep("after")).remove)
        for module in dict.fromkeys(map(module_at, paths.features)):  # once where both images share it
            stack.callback(module.register_forward_hook(keep("features")).remove)
        logits_of(model, x_1MHW)
    seen["attention"] = [one for of_layer in weights for one in of_layer]
    wrong = [key for key, tensors in seen.items() if len(tensors) != 2]
    if wrong:
        raise ExplanationError(f"cross attention: {', '.join(wrong)} not seen once for each image")
    return seen
