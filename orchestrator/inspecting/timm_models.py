"""Architectures `timm/<name>` before a sweep: names, image sizes and rates a model can have. Imports torch late."""

from itertools import product

from orchestrator.errors import BadInput
from orchestrator.generic_space import generic_space
from orchestrator.space import Choice, Fixed, FloatRange, IntRange, Parameter, Scalar, Space, defaults, parse_space
from trainables.catalog import architecture, default_hyperparameters
from trainables.configs.timm_model import TIMM
from trainables.errors import ArchitectureError, WeightsError


def resolve_timm(spaces: dict[str, Space]) -> dict[str, Space]:
    """Return the spaces with every timm model's own image size as a number; only what the model can be is left.

    Where the generic space asks for dropout or drop_path and the family has none, it is 0. Raises BadInput for names
    that timm does not know, models that are no classifiers, sizes they cannot take, and rates that the sweep file
    itself asks for in vain.
    """
    return {name: _resolve(name, space) if name.startswith(TIMM) else space for name, space in spaces.items()}


def _resolve(name: str, space: Space) -> Space:
    from trainables.architectures.timm_model import own_image_px
    from trainables.models import check_backbone
    from trainables.timm_models import check_timm, lacking_rates

    timm_name = name.removeprefix(TIMM)
    try:
        check_backbone(timm_name)
        resolved = {**space, "image_px": _in_px(name, space.get("image_px"), own_image_px(timm_name))}
        chosen = default_hyperparameters(name) | defaults(resolved)
        names = ("image_px", "grey_input", "freeze")
        asked = [_values(resolved.get(key, Fixed(default=chosen[key]))) for key in names]
        for values in product(*asked):
            check_timm({**chosen, **dict(zip(names, values, strict=True))})
    except (WeightsError, ArchitectureError) as error:
        raise BadInput(f"architectures.{name}: {error}") from error
    generic = parse_space(generic_space(), architecture(name).config)
    for rate in lacking_rates(chosen):
        parameter = resolved.get(rate)
        if parameter is None or _highest(parameter) == 0:
            continue
        if parameter != generic.get(rate):
            raise BadInput(f"architectures.{name}.{rate}: {timm_name} has no {rate}: leave it out, or set it to 0")
        resolved[rate] = Fixed(default=0.0)
    return resolved


def _in_px(name: str, parameter: Parameter | None, own_px: int) -> Parameter:
    """Return the image size with numbers in place of 0, the model's own."""
    if parameter is None:
        return Fixed(default=own_px)
    if parameter.when:
        raise BadInput(f"architectures.{name}.image_px: cannot have a condition: its default is the model's own size")
    default = parameter.default or own_px
    if isinstance(parameter, Choice):
        choices = tuple(dict.fromkeys(choice or own_px for choice in parameter.choices))
        return Choice(choices=choices, default=default)
    return Fixed(default=default) if isinstance(parameter, Fixed) else parameter


def _values(parameter: Parameter) -> list[Scalar]:
    return list(parameter.choices) if isinstance(parameter, Choice) else [parameter.default]


def _highest(parameter: Parameter) -> float:
    if isinstance(parameter, FloatRange | IntRange):
        return parameter.high
    return max(float(value) for value in _values(parameter))
