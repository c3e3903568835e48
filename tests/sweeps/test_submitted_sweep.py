"""A sweep submitted to a real head of a Ray cluster that asks for a token: followed, asked after, submitted again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_support import StartedCluster, needs_namespaces, started_cluster
from process_support import is_alive, pids_naming
from tests_support import TINY, Finished, run_command, with_phantom, with_store

pytestmark = [pytest.mark.sweep, pytest.mark.faults, needs_namespaces]
TRAINS_WITHIN_S = 400.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedCluster]:
    with started_cluster(tmp_path_factory.mktemp("head"), head_cpus=2) as cluster:
        with_store(with_phantom(cluster.nodes["head"].home))
        yield cluster


@pytest.fixture
def run(tmp_path: Path, cluster: StartedCluster) -> Callable[..., Finished]:
    def command(*arguments: str | Path, **environment: str) -> Finished:
        return run_command(tmp_path / "here", *arguments, timeout_s=600, **(cluster.environment | environment))

    return command


def test_a_sweep_is_submitted_followed_and_goes_on_under_its_id(
    cluster: StartedCluster, run: Callable[..., Finished]
) -> None:
    address, home = cluster.dashboard, cluster.nodes["head"].home
    wrong = run("submit", "stroke_hybrid", "--address", address, RAY_AUTH_TOKEN="of another cluster")
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


def test_a_sweep_that_trains_is_stopped_and_can_go_on(cluster: StartedCluster, run: Callable[..., Finished]) -> None:
    address, home = cluster.dashboard, cluster.nodes["head"].home
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
