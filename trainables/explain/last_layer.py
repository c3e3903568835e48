"""The last spatial layer of a model that is no backbone of timm: after its last activation, before it pools."""

from torch import nn
from torch.nn.modules import activation, batchnorm, conv, dropout, instancenorm, normalization, pooling

from trainables.errors import ExplanationError, OneCell
from trainables.explain.map_layout import layout_of
from trainables.explain.tracing import Finished, Trace

_NO_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax)
_AFTER_AN_ACTIVATION = (pooling, dropout)  # what may follow the last activation without making features of its own
_BEFORE_AN_ACTIVATION = (conv, batchnorm, instancenorm, normalization)


def last_activation(seen: Trace, image_hw: tuple[int, int]) -> str:
    """Return the path of the last layer of maps that are activated.

    That is the last activation, or what gives its output where it is used several times; where blocks add to what
    was activated (residual ones), the last block. Raises ExplanationError where neither is a module.
    """
    spatial = [one for one in seen.finished if _is_spatial(one, image_hw)]
    spatial = [one for one in spatial if not _is_single(one)] or spatial  # a gate weighs places and holds no features
    if not spatial:
        raise OneCell("no layer of the model gives a map of more than one cell: name a layer")
    after = seen.finished[seen.finished.index(spatial[-1]) + 1 :]
    if any(len(one.shape) == 3 and one.shape[1] > 1 for one in after):
        raise ExplanationError("the model works on tokens and is no ViT of timm: name a layer")
    leaves = [one for one in spatial if one.is_leaf]
    activated = [number for number, one in enumerate(leaves) if _is_activation(one.module)]
    if activated and all(_changes_nothing(one.module) for one in leaves[activated[-1] + 1 :]):
        return _called_once(leaves[activated[-1]], seen)
    if leaves and _is_of(leaves[-1].module, _BEFORE_AN_ACTIVATION):
        raise ExplanationError(
            f"the last map, of {leaves[-1].path}, is one before its activation, which is no module: name a layer"
        )
    return spatial[-1].path


def _is_spatial(one: Finished, image_hw: tuple[int, int]) -> bool:
    found = layout_of(one.shape, image_hw) if len(one.shape) == 4 else None
    return found is not None and found[1][0] * found[1][1] > 1


def _is_single(one: Finished) -> bool:
    return 1 in (one.shape[1], one.shape[3])


def _called_once(one: Finished, seen: Trace) -> str:
    """Return the innermost module that ran once and gave what `one` gave last."""
    calls = [other.path for other in seen.finished]
    owners = [one] + [other for other in seen.finished if one.path.startswith(f"{other.path}.")]
    same = [owner for owner in owners if owner.tensor == one.tensor and calls.count(owner.path) == 1]
    if not same:
        raise ExplanationError(f"the last activation, {one.path}, runs several times: name the layer that holds it")
    return max(same, key=lambda owner: owner.path.count(".")).path


def _is_activation(module: nn.Module) -> bool:
    return _is_of(module, (activation,)) and not isinstance(module, _NO_ACTIVATIONS)


def _changes_nothing(module: nn.Module) -> bool:
    return isinstance(module, nn.Identity) or _is_of(module, _AFTER_AN_ACTIVATION)


def _is_of(module: nn.Module, families: tuple[object, ...]) -> bool:
    names = {getattr(family, "__name__", "") for family in families}
    return any(kind.__module__ in names for kind in type(module).__mro__)
