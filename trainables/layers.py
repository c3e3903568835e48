"""How the layers of a backbone are numbered, from the input to the head.

An architecture's module says what its backbones are, by attributes that freezing and rates per layer read:

- `BACKBONES: tuple[str, ...]`: the names of its submodules that are timm models;
- `LAYER_DECAY: tuple[str, ...]`, where only some of them decay layer by layer: their names;
- `FREEZE: Mapping[str, Mapping[str, float]]`: for every value of the hyperparameter `freeze` but "none", backbone ->
  fraction of its layers that is frozen. Frozen are the layers whose number is at most fraction x the highest number:
  0.0 is layer 0 alone, which is the stem, and 1.0 is all. A property where the fractions depend on the backbone.

A module without them has no backbone: all of it learns at full rate, as does every parameter without a layer number.
"""

from timm.models import group_parameters
from torch import nn


def layer_numbers(backbone: nn.Module) -> dict[str, int]:
    """Return parameter name -> layer, 0 nearest the input, without a gap.

    Parameters of the backbone's own classifier are left out: they are the head. The layers are timm's own
    (`group_matcher`, blocks one by one). A model without such a matcher is one layer, number 0: then nothing
    between its stem and all of it can be frozen, and layer decay is one factor for the whole backbone.
    """
    head = _head_parameters(backbone)
    names = [name for name, parameter in backbone.named_parameters() if id(parameter) not in head]
    if not hasattr(backbone, "group_matcher"):
        return dict.fromkeys(names, 0)
    groups = group_parameters(backbone, backbone.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    order = {group: number for number, group in enumerate(sorted({groups[name] for name in names}))}
    return {name: order[groups[name]] for name in names}


def _head_parameters(backbone: nn.Module) -> set[int]:
    if not hasattr(backbone, "get_classifier"):
        return set()
    classifier = backbone.get_classifier()  # type: ignore[operator]
    heads = classifier if isinstance(classifier, tuple | list) else [classifier]  # distilled models have two
    return {id(parameter) for head in heads for parameter in head.parameters()}
