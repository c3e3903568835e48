"""Where text goes: results to stdout, everything else to stderr."""

import json
import sys
from typing import Any

from rich.console import Console


def results() -> Console:
    """Return the console for what was asked for."""
    wide = None if sys.stdout.isatty() else 200  # nothing is cut for a file or a pipe
    return Console(file=sys.stdout, highlight=False, width=wide)


def messages() -> Console:
    """Return the console for banners, progress and errors."""
    is_watched = None if sys.stderr.isatty() else False  # whatever FORCE_COLOR says: a log holds plain lines
    return Console(file=sys.stderr, highlight=False, force_terminal=is_watched)


def print_json(value: dict[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")


def in_words(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def visible(text: str) -> str:
    """Return a text on one line that cannot steer a terminal: what no printer prints is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
