"""stdout and stderr as the caller left them: closed, of a narrow encoding, or with nobody who reads on."""

import io
import os
import sys

READER_GONE = 141  # what a shell says of a command that SIGPIPE ended; `orchestrate list | head -1` is no fault


def make_safe() -> None:
    """Let printing never fail by itself: a closed stream goes nowhere, a letter that the encoding lacks becomes `?`."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened, a journal maybe, would get what is printed
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # stderr replaces anyway
        sys.stdout.reconfigure(errors="replace")


def let_go() -> None:
    """Write what is left; a stream that takes no more goes nowhere, or Python would complain of it at its end."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
