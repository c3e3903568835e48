"""Where text goes: results to stdout, everything else to stderr."""

import json
import sys
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.text import Text


class LiteralConsole(Console):
    """Shows texts to the letter: no markup, no :emoji:, and nothing that steers a terminal."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return what a text, also a table's cell, looks like; it may have lines and tabs."""
        return super().render_str(visible(text, but="\n\t"), **settings)


def results() -> Console:
    """Return the console for what was asked for."""
    wide = None if sys.stdout.isatty() else 200  # nothing is cut for a file or a pipe
    return LiteralConsole(file=sys.stdout, width=wide)


def messages() -> Console:
    """Return the console for banners, progress and errors."""
    is_watched = None if sys.stderr.isatty() else False  # whatever FORCE_COLOR says: a log holds plain lines
    return LiteralConsole(file=sys.stderr, force_terminal=is_watched)


def print_json(value: dict[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")


def visible(text: str, but: str = "") -> str:
    """Return a text on one line that cannot steer a terminal: what no printer prints is a question mark."""
    return "".join(
        letter if letter.isprintable() or letter in but or category(letter) == "Zs" else "?" for letter in text
    )
