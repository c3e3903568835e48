"""A terminal made of a pseudo-terminal: what stderr shows there, and whether any line ran over its edge."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n])")


class Terminal:
    """What was written, letter for letter and as it stands at the end."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.written = ""
        self.lines: list[str] = [""]
        self.wraps = 0
        self.shows_cursor = True
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take text and the few sequences that rich writes; another one is a fault of the test's."""
        self.written += text
        assert not _TOKEN.sub("", text), f"unknown: {_TOKEN.sub('', text)!r}"
        for number, kind, back, down, letter in _TOKEN.findall(text):
            if letter:
                self._put(letter)
            elif back:
                self._column = 0
            elif down:
                self._go_to(self._row + 1)
            elif kind == "A":
                self._go_to(self._row - int(number or 1))
            elif kind == "K":
                self.lines[self._row] = ""
            elif number == "?25":
                self.shows_cursor = kind == "h"
            else:
                assert kind == "m", f"unknown: {number}{kind}"

    def _put(self, letter: str) -> None:
        width = cell_len(letter)
        if self._column + width > self.columns:
            self.wraps += 1
            self._go_to(self._row + 1)
            self._column = 0
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
        self._column += width

    def _go_to(self, row: int) -> None:
        assert row >= 0
        self._row = row
        self.lines += [""] * (row + 1 - len(self.lines))


@contextmanager
def terminal_as_stderr(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Let stderr be a terminal of some size; it is read to its end with the block."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}.items():
        monkeypatch.setenv(name, value)  # rich asks the process's own descriptors for the size, which are pytest's
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(_to_the_end(ours)))
    reader.start()
    terminal = Terminal(columns)
    try:
        with os.fdopen(theirs, "w", encoding="utf-8") as file, monkeypatch.context() as patch:
            patch.setattr("sys.stderr", file)
            yield terminal
    finally:
        reader.join()
        os.close(ours)
    terminal.feed(b"".join(read).decode())


def _to_the_end(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(descriptor, 4096)
        except OSError:  # nobody has the other side open any more
            return
