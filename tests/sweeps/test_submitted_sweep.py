"""A sweep submitted to a real head of a Ray cluster that asks for a token: followed, asked after, submitted again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_support import free_ports
from process_support import is_alive, pids_naming
from tests_support import TINY, Finished, run_command, with_phantom, with_store

pytestmark = [pytest.mark.sweep, pytest.mark.faults]
TOKEN = "only-this-cluster-knows-it-0123456789abcdef"
TRAINS_WITHIN_S = 400.0
PORTS = ("--port", "--dashboard-port", "--ray-client-server-port", "--dashboard-agent-listen-port")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A head with ports, folder and token of its own; its dashboard, and the home of its sweeps."""
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("head")))
    home = with_store(with_phantom(folder / "home"))
    # Ray names sockets below it, whose paths have at most 107 characters
    rays = Path(f"/tmp/ray-of-tests-{os.getpid()}")
    ports = free_ports(len(PORTS))
    programs = Path(sys.executable).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATE", "MLFLOW"))}
    environment |= {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN,
        "ORCHESTRATE_HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    line = [str(programs / "ray"), "start", "--head", "--num-cpus=2", "--disable-usage-stats", f"--temp-dir={rays}"]
    line += ["--min-worker-port=0", "--max-worker-port=0", "--node-ip-address=127.0.0.1"]
    line += ["--dashboard-host=127.0.0.1", f"--object-store-memory={80 * 2**20}"]
    line += [f"{flag}={port}" for flag, port in zip(PORTS, ports, strict=True)]
    subprocess.run(line, env=environment, cwd=folder, check=True, capture_output=True, timeout=180)
    try:
        yield f"http://127.0.0.1:{ports[1]}", home
    finally:
        for pid in pids_naming(str(rays)):
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["rm", "-rf", str(rays)], check=True)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    def command(*arguments: str | Path, token: str = TOKEN) -> Finished:
        return run_command(tmp_path / "here", *arguments, timeout_s=600, RAY_AUTH_TOKEN=token, RAY_AUTH_MODE="token")

    return command


def test_a_sweep_is_submitted_followed_and_goes_on_under_its_id(
    head: tuple[str, Path], run: Callable[..., Finished]
) -> None:
    address, home = head
    wrong = run("submit", "stroke_hybrid", "--address", address, token="of another cluster")
    assert (wrong.exit_code, "refuses the token in RAY_AUTH_TOKEN" in wrong.stderr) == (2, True), wrong.stderr
    line = ["submit", "stroke_hybrid", *TINY, "--trials", "2", "--epochs", "1", "--finalists", "1", "--id", "far"]
    done = run(*line, "--address", address, "--follow")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "winner" in done.stdout
    assert (home / "sweeps" / "far" / "journal.jsonl").is_file()
    told = run("status", "far", "--json").json
    assert (told["state"], told["job_id"], told["job_status"]) == ("completed", "far", "SUCCEEDED")
    before = (home / "sweeps" / "far" / "journal.jsonl").read_bytes()
    again = run(*line, "--address", address, "--follow")
    assert again.exit_code == 0, again.stdout + again.stderr
    assert "it was asked for just so" in again.stdout and "far has ended" in again.stdout
    assert (home / "sweeps" / "far" / "journal.jsonl").read_bytes() == before
    other = run(*line, "--seed", "7", "--address", address, "--follow")
    assert (other.exit_code, "of which --seed was 0, not 7" in other.stdout) == (2, True), other.stdout


def test_a_sweep_that_trains_is_stopped_and_resumed(head: tuple[str, Path], run: Callable[..., Finished]) -> None:
    address, home = head
    line = ["submit", "stroke_hybrid", *TINY, "--trials", "2", "--epochs", "400", "--finalists", "1", "--id", "long"]
    line += ["--set", "scheduler.name=none", "--address", address]
    assert run(*line).exit_code == 0
    journal = home / "sweeps" / "long" / "journal.jsonl"
    deadline_s = time.monotonic() + TRAINS_WITHIN_S
    while not (journal.is_file() and "epoch_ended" in journal.read_text()):
        assert time.monotonic() < deadline_s, run("logs", "long").stdout
        time.sleep(0.2)
    stopped = run("stop", "long")
    assert stopped.exit_code == 0, stopped.stderr
    told = run("status", "long", "--json").json
    assert (told["state"], told["owner"]) == ("interrupted", None)
    assert not [pid for pid in pids_naming("--id long") if is_alive(pid)]
