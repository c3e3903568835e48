"""HTML that no text can break: whatever is not Markup is escaped, and only this file makes Markup from parts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

_VOID = ("img", "input", "meta")
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")  # would turn what follows around


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is taken as it is."""

    html: str


Child = Markup | str | int | None
Attributes = Mapping[str, str | int | float | None]


def tag(name: str, attributes: Attributes | None, *children: Child) -> Markup:
    """Return an element; texts and the values of attributes are escaped, None is left out.

    Names of elements and attributes are those of this project, never of data.
    """
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in (attributes or {}).items() if value is not None)
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{joined(children).html}</{name}>")


def joined(parts: Iterable[Child]) -> Markup:
    """Return parts one after the other, texts escaped."""
    return Markup(
        "".join(
            part.html if isinstance(part, Markup) else escape(str(part).translate(_TURNING), quote=False)
            for part in parts
            if part is not None
        )
    )


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], numeric: Iterable[int] = ()) -> Markup:
    """Return a table in a box that scrolls by itself; columns `numeric` stand to the right."""
    right = set(numeric)

    def cells(kind: str, row: Iterable[Child]) -> Markup:
        return tag("tr", None, *(tag(kind, {"class": "n"} if i in right else None, c) for i, c in enumerate(row)))

    body = joined(cells("td", row) for row in rows)
    return tag(
        "div",
        {"class": "box"},
        tag("table", None, tag("thead", None, cells("th", head)), tag("tbody", None, body)),
    )


def json_for_script(content: object) -> Markup:
    """Return JSON that can stand in a script element: no text in it can end that, or begin a comment.

    Raises ValueError for a number that JSON does not know.
    """
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)  # ASCII: U+2028 and its like are escaped, too
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
