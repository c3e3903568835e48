"""`orchestrate ui` from start to end, as a person uses it."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from tests_support import clean_environment, command, run_here, with_store


def test_ui_answers_until_it_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as out:
        home = with_store(tmp_path / "home")
        process = subprocess.Popen(command("ui"), env=clean_environment(home), cwd=tmp_path, stdout=out)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (tmp_path / "out").read_text():
            time.sleep(0.2)
        url = re.search(r"http://127\.0\.0\.1:\d+", (tmp_path / "out").read_text())
        assert url is not None
        with urllib.request.urlopen(f"{url.group()}/health", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    port = url.group().rpartition(":")[2].encode()
    assert not [line for line in running if b"mlflow" in line and port in line]


@pytest.mark.faults
def test_ui_ends_when_its_server_does(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
        home = with_store(tmp_path / "home")
        process = subprocess.Popen(command("ui"), env=clean_environment(home), cwd=tmp_path, stdout=out, stderr=err)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "Ctrl-C" not in (tmp_path / "err").read_text():
            time.sleep(0.2)
        (server,) = [int(pid) for pid in children_of(process.pid)]
        os.killpg(server, signal.SIGKILL)  # a group of its own
        assert process.wait(timeout=30) == 1
    told = (tmp_path / "err").read_text().splitlines()[-1]
    assert re.match(r"orchestrate: the MLflow server ended by itself \(-9\): .* \(more in .*server\.log\)$", told), told


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_ui_of_a_remote_store_says_where_to_look(tmp_path: Path) -> None:
    done = run_here(tmp_path / "home", "ui", MLFLOW_TRACKING_URI="http://jane:secret@127.0.0.1:9")
    assert done.exit_code == 2
    assert "MLFLOW_TRACKING_URI=http://***@127.0.0.1:9: that store has its own server" in done.stderr
    assert "secret" not in done.stderr
