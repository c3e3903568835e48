"""Search spaces: typed parameters read from a sweep file, every fault named with its key path."""

from collections.abc import Mapping
from itertools import combinations, product
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.errors import unknown_name
from orchestrator.yaml_file import shortened
from trainables.configs.training import TrainingConfig, unused

Scalar = bool | int | float | str
When = dict[str, tuple[Scalar, ...]]


class _Parameter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Scalar
    when: When = {}


class FloatRange(_Parameter):
    """A real number between two ends, both included."""

    kind: Literal["float"] = "float"
    default: float
    low: float
    high: float
    log: bool = False


class IntRange(_Parameter):
    """A whole number between two ends, both included."""

    kind: Literal["int"] = "int"
    default: int
    low: int
    high: int
    log: bool = False


class Choice(_Parameter):
    """One of a few values."""

    kind: Literal["choice"] = "choice"
    choices: tuple[Scalar, ...]


class Fixed(_Parameter):
    """A value that is not searched."""

    kind: Literal["fixed"] = "fixed"


Parameter = Annotated[FloatRange | IntRange | Choice | Fixed, Field(discriminator="kind")]
Space = dict[str, Parameter]

MOST_PAIRS = 20_000  # of values that a trial could draw together; each takes some 50 microseconds
LONGEST_LIST = 200  # characters of a message
LONG = 20  # more numbers to choose from are tried with others at both ends only, as a range is

_KEYS = {
    "float": {"float", "log", "default", "when"},
    "int": {"int", "log", "default", "when"},
    "choice": {"choice", "default", "when"},
    "fixed": {"fixed", "when"},
}


class SpaceFaults(Exception):
    """Everything wrong with one search space: (key, message) pairs."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in faults))
        self.faults = faults


def parse_space(raw: Mapping[str, object], schema: type[TrainingConfig]) -> Space:
    """Read the parameters of one architecture, parents of conditions first.

    Raises SpaceFaults with every fault found: unknown name, wrong type, empty range, default outside its range,
    condition on an unknown parameter, conditions in a circle.
    """
    faults: list[tuple[str, str]] = []
    space: Space = {}
    for name, value in raw.items():
        if name not in schema.model_fields:
            faults.append((str(name), unknown_name("hyperparameter", str(name), schema.model_fields)))
            continue
        try:
            space[name] = _parse_parameter(name, value, schema, raw)
        except _Fault as fault:
            faults.append((fault.key, fault.message))
    if not faults:
        try:
            space = _parents_first(space)
            faults += _misfits(space, schema)
        except _Fault as fault:
            faults.append((fault.key, fault.message))
    if faults:
        raise SpaceFaults(faults)
    return space


def defaults(space: Space) -> dict[str, Scalar]:
    """Return the configuration of trial 0: the default of every parameter whose condition holds."""
    values: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, values):
            values[name] = parameter.default
    return values


def is_active(parameter: Parameter, values: Mapping[str, Scalar]) -> bool:
    """Tell whether a parameter's condition holds for the values chosen so far."""
    return all(values.get(parent) in allowed for parent, allowed in parameter.when.items())


def searched(space: Space, hyperparameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return what of a whole configuration is of the search space and in force: what was once chosen."""
    chosen: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen) and name in hyperparameters:
            chosen[name] = hyperparameters[name]
    return chosen


class _Fault(Exception):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


def _parse_parameter(name: str, raw: object, schema: type[TrainingConfig], siblings: Mapping[str, object]) -> Parameter:
    if not isinstance(raw, dict):
        return Fixed(default=_value(name, name, raw, schema))
    kinds = [kind for kind in _KEYS if kind in raw]
    if len(kinds) != 1:
        raise _Fault(name, f"expected exactly one of {', '.join(_KEYS)}, got {', '.join(map(repr, raw)) or 'nothing'}")
    kind = kinds[0]
    for key in raw:
        if key not in _KEYS[kind]:
            raise _Fault(f"{name}.{key}", unknown_name("key", str(key), _KEYS[kind]))
    when = _parse_when(name, raw.get("when"), schema, siblings)
    if kind == "fixed":
        return Fixed(default=_value(name, f"{name}.fixed", raw["fixed"], schema), when=when)
    if kind == "choice":
        return _parse_choice(name, raw, schema, when)
    return _parse_range(name, kind, raw, schema, when)


def _parse_choice(name: str, raw: dict[Any, Any], schema: type[TrainingConfig], when: When) -> Choice:
    where = f"{name}.choice"
    if not isinstance(raw["choice"], list) or not raw["choice"]:
        raise _Fault(where, f"expected a list of at least one value, got {raw['choice']!r}")
    choices = tuple(_value(name, f"{where}.{i}", value, schema) for i, value in enumerate(raw["choice"]))
    if len(set(choices)) != len(choices):
        raise _Fault(where, f"a value stands twice in {shortened(list(choices), LONGEST_LIST)}")
    default = _value(name, f"{name}.default", _given_default(name, raw), schema)
    if default not in choices:
        raise _Fault(f"{name}.default", f"{default!r} is not one of {shortened(list(choices), LONGEST_LIST)}")
    return Choice(choices=choices, default=default, when=when)


def _parse_range(
    name: str, kind: str, raw: dict[Any, Any], schema: type[TrainingConfig], when: When
) -> FloatRange | IntRange:
    where = f"{name}.{kind}"
    ends = raw[kind]
    if not isinstance(ends, list) or len(ends) != 2:
        raise _Fault(where, f"expected [low, high], got {ends!r}")
    low, high = (_number(name, f"{where}.{i}", end, schema, kind) for i, end in enumerate(ends))
    default = _number(name, f"{name}.default", _given_default(name, raw), schema, kind)
    log = raw.get("log", False)
    if not isinstance(log, bool):
        raise _Fault(f"{name}.log", f"expected true or false, got {log!r}")
    if low >= high:
        raise _Fault(where, f"empty range: low {low} must be below high {high}")
    if log and low <= 0:
        raise _Fault(where, f"a log range must start above 0, got {low}")
    if not low <= default <= high:
        raise _Fault(f"{name}.default", f"{default} lies outside [{low}, {high}]")
    if kind == "int":
        return IntRange(low=int(low), high=int(high), default=int(default), log=log, when=when)
    return FloatRange(low=low, high=high, default=default, log=log, when=when)


def _given_default(name: str, raw: dict[Any, Any]) -> object:
    if "default" not in raw:
        raise _Fault(name, "default is missing; trial 0 is the published configuration and needs one")
    return raw["default"]


def _parse_when(name: str, raw: object, schema: type[TrainingConfig], siblings: Mapping[str, object]) -> When:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise _Fault(f"{name}.when", f"expected {{parameter: value}}, got {raw!r}")
    when: When = {}
    for parent, allowed in raw.items():
        where = f"{name}.when.{parent}"
        if parent not in siblings or parent not in schema.model_fields:
            raise _Fault(
                where, "condition on an unknown parameter: " + unknown_name("parameter", str(parent), siblings)
            )
        values = allowed if isinstance(allowed, list) else [allowed]
        when[str(parent)] = tuple(_value(parent, where, value, schema) for value in values)
    return when


def _value(name: str, where: str, value: object, schema: type[TrainingConfig]) -> Scalar:
    """Return the value as the schema's type; a quoted "1e-4" is the number that it looks like."""
    if not isinstance(value, Scalar):
        raise _Fault(where, f"expected one value, got {value!r}")
    expected = schema.model_fields[name].annotation
    if isinstance(value, bool) != (expected is bool):
        why = "; YAML reads yes, no, on and off as true or false: quote them" if isinstance(value, bool) else ""
        raise _Fault(where, f"expected {_type_name(expected)}, got {value!r}{why}")
    field = schema.model_fields[name]
    typed: Any = Annotated[expected, *field.metadata] if field.metadata else expected
    try:
        checked: Scalar = TypeAdapter(typed).validate_python(value)
    except ValidationError as error:
        raise _Fault(where, f"{reason_of(error)}, got {value!r}") from None
    return checked


def _number(name: str, where: str, value: object, schema: type[TrainingConfig], kind: str) -> float:
    expected = schema.model_fields[name].annotation
    if expected not in (int, float):
        way_out = "leave it out" if _is_fixed(expected) else "not a number: use choice"
        raise _Fault(where, f"{name} is {_type_name(expected)}, {way_out}")
    if kind == "float" and expected is int:
        raise _Fault(where, f"{name} is a whole number: use int: [low, high]")
    number = _value(name, where, value, schema)
    if isinstance(number, str):
        raise _Fault(where, f"expected a number, got {value!r}")
    return number


def _type_name(expected: Any) -> str:
    if get_origin(expected) is Literal:
        return f"{'always' if _is_fixed(expected) else 'one of'} {', '.join(map(str, get_args(expected)))}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}.get(expected, str(expected))


def _is_fixed(expected: Any) -> bool:
    return get_origin(expected) is Literal and len(get_args(expected)) == 1


def reason_of(error: ValidationError) -> str:
    """Return in a few words what is wrong with values."""
    message = error.errors()[0]["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")


def _misfits(space: Space, schema: type[TrainingConfig]) -> list[tuple[str, str]]:
    """Return what does not fit together: the defaults, then any two values that a trial could draw together.

    Ranges, and in pairs long lists of numbers, are tried at both ends. A parameter that a trial could draw without any
    effect is a fault too: such a search would learn from noise.
    """
    fault = _fault_of(space, {}, schema)
    if fault:
        return [(fault.key, fault.message)]
    alone = [{name: value} for name, parameter in space.items() for value in _ends(parameter)]
    tried = {name: _few(_ends(parameter)) for name, parameter in space.items()}
    num_pairs = sum(len(tried[one]) * len(tried[two]) for one, two in combinations(tried, 2))
    if num_pairs > MOST_PAIRS:
        longest = max(tried, key=lambda name: len(tried[name]))
        most = f"which makes {num_pairs:,} pairs with those of the others; at most {MOST_PAIRS:,} are checked"
        return [(f"{longest}.choice", f"has {len(tried[longest])} values, {most}, give fewer")]
    pairs = [
        {one: value, two: other}
        for one, two in combinations(tried, 2)
        for value, other in product(tried[one], tried[two])
    ]
    faults: dict[str, str] = {}
    for chosen in [*alone, *pairs]:
        possible = _with_parents(space, chosen)
        fault = _fault_of(space, possible, schema) if possible else None
        if fault:
            faults.setdefault(fault.key, fault.message)
    return list(faults.items())


def _with_parents(space: Space, chosen: dict[str, Scalar]) -> dict[str, Scalar]:
    """Return the values with those that their conditions need; empty where no trial has them together."""
    complete = dict(chosen)
    waiting = list(chosen)
    while waiting:
        for parent, allowed in space[waiting.pop()].when.items():
            if parent not in complete:
                parameter = space[parent]
                able = [value for value in (parameter.default, *_ends(parameter)) if value in allowed]
                if not able:
                    return {}
                complete[parent] = able[0]
                waiting.append(parent)
            elif complete[parent] not in allowed:
                return {}
    return complete


def _ends(parameter: Parameter) -> tuple[Scalar, ...]:
    if isinstance(parameter, Choice):
        return parameter.choices
    return (parameter.low, parameter.high) if isinstance(parameter, IntRange | FloatRange) else ()


def _few(values: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    numbers = [value for value in values if isinstance(value, int | float)]
    return (min(numbers), max(numbers)) if len(values) == len(numbers) > LONG else values


def _fault_of(space: Space, chosen: Mapping[str, Scalar], schema: type[TrainingConfig]) -> _Fault | None:
    """Return what is wrong with the configuration of some chosen values and the defaults of all other parameters."""
    values: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if is_active(parameter, values):
            values[name] = chosen.get(name, parameter.default)
    if not chosen.keys() <= values.keys():
        return None  # no trial can be drawn so
    try:
        full = schema.model_validate(values).model_dump()
    except ValidationError as error:
        if not chosen:
            return _Fault("", f"the defaults do not fit together: {reason_of(error)}")
        what = " with ".join(f"{name}={value!r}" for name, value in chosen.items())
        key = next(iter(chosen))
        part = "choice" if isinstance(space[key], Choice) else space[key].kind
        return _Fault(f"{key}.{part}", f"{what} does not fit the other defaults: {reason_of(error)}")
    for name in values:
        why = unused(schema, name, full)
        if why:
            return _Fault(name, f"{why}: leave it out, or give it a `when`")
    return None


def _parents_first(space: Space) -> Space:
    ordered: Space = {}
    waiting = dict(space)
    while waiting:
        ready = [name for name, parameter in waiting.items() if not set(parameter.when) & set(waiting)]
        if not ready:
            names = ", ".join(waiting)
            raise _Fault(next(iter(waiting)), f"conditions go in a circle: {names}")
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered
