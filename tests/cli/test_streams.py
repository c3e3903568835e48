"""Where a command's output goes: nowhere, to a reader that has left, through a narrow encoding, onto a full disk."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sweep_support import begin, open_sweep
from tests_support import Finished, clean_environment, command

from orchestrator.cli.main import main

BUFFERED = {"PYTHONUNBUFFERED": ""}  # else nothing is left to be written while Python ends


def in_a_shell(home: Path, redirection: str, *arguments: str) -> Finished:
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(command(*arguments))} {redirection}"],
        env=clean_environment(home, **BUFFERED),
        cwd=home,
        capture_output=True,
        timeout=60,
    )
    return Finished(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@pytest.mark.parametrize(
    ("arguments", "redirection", "exit_code", "said"),
    [
        (["list", "tasks"], ">&-", 0, ""),
        (["list", "tasks"], "<&- >&- 2>&-", 0, ""),
        (["list", "taskz"], "2>&-", 2, ""),
        (["list", "tasks", "--json"], ">/dev/full", 1, "orchestrate: the disk is full (output); free some space\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value)[:20],
)
def test_a_stream_that_takes_nothing_is_no_traceback(
    tmp_path: Path, arguments: list[str], redirection: str, exit_code: int, said: str
) -> None:
    assert in_a_shell(tmp_path, redirection, *arguments) == Finished(exit_code, "", said)


@pytest.mark.parametrize("arguments", [["list", "tasks"], ["list", "tasks", "--json"]], ids=" ".join)
def test_a_reader_that_has_left_ends_a_command_silently(tmp_path: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command(*arguments),
            env=clean_environment(tmp_path, **BUFFERED),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b""), "as every tool that is left of head"


def test_a_message_that_nobody_reads_leaves_the_exit_code(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command("list", "taskz"),
            env=clean_environment(tmp_path, **BUFFERED),
            stderr=writing,
            stdout=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_an_encoding_cannot_show_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    folder = tmp_path / "sweeps" / "s"
    folder.parent.mkdir()
    with open_sweep(folder) as sweep:
        begin(sweep, 0)
    log = folder / "trials" / "0000" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("caf\u00e9 of a patient \N{SNOWMAN}\n", encoding="utf-8")
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding=encoding))
    monkeypatch.setattr(sys, "argv", ["orchestrate", "logs", "s", "--trial", "0"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match="0"):
        main()
    shown = "caf? of a patient ?\n" if encoding == "ascii" else "caf\u00e9 of a patient \N{SNOWMAN}\n"
    assert printed.getvalue().decode() == shown
