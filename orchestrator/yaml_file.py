"""YAML read safely: plain values only, no loops, no key twice, numbers as written; a fault is a line with its place."""

import re
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import BadInput

MAX_DEPTH = 20
MAX_VALUES = 10_000
MAX_BYTES = 2**20


def read_yaml(path: Path, keys: str = "task and architectures") -> dict[str, Any]:
    """Read a YAML mapping safely: no Python tags, no loops, no key twice; `keys` are what it should hold, in words.

    Raises BadInput with one line.
    """
    try:
        if path.exists() and not path.is_file():  # a device never ends, and a pipe waits
            raise BadInput(f"{path}: is no regular file")
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path.name}: is larger than {MAX_BYTES // 2**20} MiB, too large for settings")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name}: cannot be read as UTF-8 text ({error})") from None
    raw = parse_yaml(path.name, text)
    if not isinstance(raw, dict):
        raise BadInput(f"{path.name}: expected keys such as {keys}, got {shortened(raw)}")
    return raw


def parse_yaml(where: str, text: str) -> Any:
    """Return the plain value that a YAML text stands for. Raises BadInput with one line that begins with `where`."""
    try:
        raw = _PlainLoader(text).get_single_data()
    except yaml.YAMLError as error:
        raise BadInput(f"{where}: {_yaml_reason(error)}") from None
    except RecursionError:
        raise BadInput(f"{where}: nested too deeply") from None
    except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:
        # PyYAML's own constructors let these through for impossible dates, numbers and tagged values
        raise BadInput(f"{where}: holds a value that YAML cannot read ({' '.join(str(error).split())[:80]})") from None
    _refuse_loops(where, raw)
    return raw


class _PlainLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise _fault(key_node, f"the key {key_node.value!r} stands twice")
                if not key_node.value.isprintable():
                    raise _fault(key_node, f"the key {key_node.value!r} holds a line break or no letter")
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def as_written(self, node: yaml.ScalarNode) -> int | float:
        """Return a number; one that YAML 1.1 takes for another, of base 8 or 60, is refused."""
        is_int = node.tag.endswith(":int")
        number: int | float = self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)
        if ":" in node.value or (is_int and re.fullmatch(r"[-+]?0[0-7_]+", node.value)):
            raise _fault(node, f"{node.value} would be read as {number}: write the number meant, in its decimal digits")
        return number


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.as_written)
_PlainLoader.add_implicit_resolver(  # 1e-4 is text to YAML 1.1, which asks for a point and a sign
    "tag:yaml.org,2002:float", re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def _fault(node: yaml.ScalarNode, what: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _yaml_reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        what = error.problem or "not YAML"
        if "could not determine a constructor for the tag" in what:
            tag = what.split("'")[1].removeprefix("tag:yaml.org,2002:")
            what = f"the tag !!{tag} is not allowed: sweep files hold plain values only"
        return f"line {mark.line + 1}, column {mark.column + 1}: {what}"
    return "not YAML: " + " ".join(str(error).split())


def _refuse_loops(name: str, raw: object) -> None:
    count = 0
    stack: list[tuple[object, str, tuple[int, ...]]] = [(raw, "", ())]
    while stack:
        value, where, above = stack.pop()
        count += 1
        if id(value) in above:
            raise BadInput(f"{name}: {where}: the alias contains itself")
        if len(above) > MAX_DEPTH or count > MAX_VALUES:
            raise BadInput(f"{name}: {where[:60]}: too deep or too large for a sweep file")
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(child, f"{where}.{key}".lstrip("."), (*above, id(value))) for key, child in items]


def shortened(value: object, most: int = 60) -> str:
    """Return a value as an error message shows it: at most so many characters."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."
