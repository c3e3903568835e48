"""How the layers of a backbone are numbered, from the input to the head."""

from timm.models import group_parameters
from torch import nn


def layer_numbers(backbone: nn.Module) -> dict[str, int]:
    """Return the layer of each parameter of a timm model, 0 nearest the input."""
    matcher = backbone.group_matcher(coarse=False)  # type: ignore[operator]
    groups: dict[str, int] = group_parameters(backbone, matcher, reverse=True)
    order = sorted(set(groups.values()))
    return {name: order.index(group) for name, group in groups.items()}
