"""Fixed points of a search space: what a sweep file asks to be tried first, and every point of a grid."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import unknown_name
from orchestrator.space import LONGEST_LIST, Choice, Fixed, Parameter, Scalar, Space, SpaceFaults, is_active, reason_of
from orchestrator.yaml_file import shortened
from trainables.configs.training import TrainingConfig


def parse_points(points: list[dict[str, Any]], space: Space, schema: type[TrainingConfig]) -> list[dict[str, Scalar]]:
    """Return whole configurations; what a point leaves out has its default.

    Raises SpaceFaults: for a parameter that the space does not search, a value outside its range, one whose condition
    does not hold, and for values that do not fit together.
    """
    faults: list[tuple[str, str]] = []
    whole = []
    for number, point in enumerate(points):
        try:
            whole.append(_whole_point(point, space, schema, str(number)))
        except SpaceFaults as error:
            faults += error.faults
    if faults:
        raise SpaceFaults(faults)
    return whole


def grid(space: Space) -> Iterator[dict[str, Scalar]]:
    """Yield every configuration of a space of choices, each once; conditions hold in all of them."""
    yield from _extended({}, list(space.items()))


def not_on_a_grid(space: Space) -> list[str]:
    """Return the parameters that have no countable values."""
    return [name for name, parameter in space.items() if not isinstance(parameter, Choice | Fixed)]


def _extended(chosen: dict[str, Scalar], left: list[tuple[str, Parameter]]) -> Iterator[dict[str, Scalar]]:
    if not left:
        yield chosen
        return
    (name, parameter), *rest = left
    if not is_active(parameter, chosen):
        yield from _extended(chosen, rest)
        return
    values = parameter.choices if isinstance(parameter, Choice) else (parameter.default,)
    for value in values:
        yield from _extended({**chosen, name: value}, rest)


def _whole_point(point: Mapping[str, Any], space: Space, schema: type[TrainingConfig], where: str) -> dict[str, Scalar]:
    for name in point:
        if name not in space:
            raise SpaceFaults([(f"{where}.{name}", unknown_name("parameter of this space", str(name), space))])
    values: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if not is_active(parameter, values):
            if name in point:
                held = ", ".join(f"{parent}={values.get(parent)}" for parent in parameter.when)
                raise SpaceFaults([(f"{where}.{name}", f"its condition does not hold with {held}")])
            continue
        values[name] = _checked(point[name], parameter, f"{where}.{name}") if name in point else parameter.default
    try:
        schema.model_validate(values)
    except ValidationError as error:
        raise SpaceFaults([(where, f"does not fit together: {reason_of(error)}")]) from error
    return values


def _checked(value: Any, parameter: Parameter, where: str) -> Scalar:
    """Return a value as the parameter has it: a quoted "1e-4" is the number it looks like."""
    if isinstance(parameter, Choice | Fixed):
        allowed = parameter.choices if isinstance(parameter, Choice) else (parameter.default,)
        for one in allowed:
            if value == one and isinstance(value, bool) == isinstance(one, bool):
                return one
        raise SpaceFaults([(where, f"{value!r} is not one of {shortened(list(allowed), LONGEST_LIST)}")])
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise SpaceFaults([(where, f"expected a number, got {shortened(value)}")]) from None
    if not math.isfinite(number):
        raise SpaceFaults([(where, f"expected a number, got {shortened(value)}")])
    if isinstance(value, bool) or (parameter.kind == "int" and number != int(number)):
        raise SpaceFaults([(where, f"expected a whole number, got {value!r}")])
    if not parameter.low <= number <= parameter.high:
        raise SpaceFaults([(where, f"{value} lies outside [{parameter.low}, {parameter.high}]")])
    return int(number) if parameter.kind == "int" else number
