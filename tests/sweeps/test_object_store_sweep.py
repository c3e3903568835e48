"""Sweeps in a bucket, by the S3 protocol: a machine is lost and another home goes on; nodes share nothing else."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_support import free_ports, needs_namespaces, started_cluster
from process_support import descendants
from record_support import compare, records_of
from tests_support import TINY, clean_environment, command, run_command, with_store

from orchestrator.journal import EpochEnded, read_events
from orchestrator.object_store import ObjectStore
from orchestrator.open_sweep import state_of
from trainables.data.phantom import write_stroke_phantom
from trainables.evaluation.evaluation_files import METRICS_FILE
from trainables.evaluation.trial_files import BEST_WEIGHTS

pytest.importorskip("s3fs", reason="needs the extra s3")
boto3 = pytest.importorskip("boto3")
BotoCoreError = pytest.importorskip("botocore.exceptions").BotoCoreError
pytest.importorskip("moto.server", reason="needs moto, an S3 server of one's own")
pytestmark = pytest.mark.sweep
TRIALS, EPOCHS = 2, 3
LINE = [
    "sweep", "stroke_hybrid", *TINY, "--trials", TRIALS, "--epochs", EPOCHS, "--finalists", 1, "--slots", 1, "--set",
    "scheduler.name=none", "--id", "lost", "--witness", "--storage", "s3://lab/sweeps",
]  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start an S3 server with a bucket; yield what reaches it."""
    (port,) = free_ports(1)
    environment = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
        try:
            client = boto3.client("s3")
            deadline = time.monotonic() + 120
            while True:
                try:
                    client.create_bucket(Bucket="lab")
                    break
                except BotoCoreError:
                    assert server.poll() is None and time.monotonic() < deadline
                    time.sleep(0.2)
            yield environment
        finally:
            server.kill()
            server.wait()


def test_another_home_goes_on_where_a_machine_was_lost(keys: dict[str, str], tmp_path: Path) -> None:
    data, first, second = tmp_path / "set", tmp_path / "first", tmp_path / "second"
    data.mkdir()
    write_stroke_phantom(data, train_patients=16, test_patients=6, image_px=64)
    store = ObjectStore("s3://lab/sweeps").below("lost")
    log = (tmp_path / "log").open("wb")
    sweep = subprocess.Popen(
        command(*LINE, "--data", data), env=clean_environment(with_store(first)), cwd=tmp_path, stdout=log, stderr=log,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 900
    while not (
        any("trials/0001/state_epoch" in key for key in store.keys("trials")) and store.keys("journal")[1:]
    ):  # the second trial trains, and can go on elsewhere
        assert sweep.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.2)
    for pid in [sweep.pid, *descendants(sweep.pid)]:
        subprocess.run(["kill", f"-{signal.SIGKILL}", str(pid)], check=False, capture_output=True)
    sweep.wait()
    first.rename(tmp_path / "on a disk that is gone")

    done = run_command(with_store(second), "resume", "lost", "--storage", "s3://lab/sweeps", "--json", timeout_s=1500)
    assert done.exit_code == 0, done.stderr
    folder = second / "sweeps" / "lost"
    assert compare(records_of(folder, second), TRIALS, EPOCHS) == []
    state = state_of(folder)
    assert state.resumed is not None and state.winner is not None
    weights = folder / "trials" / f"{state.winner:04d}" / BEST_WEIGHTS
    assert weights.read_bytes() == store.read(f"trials/{state.winner:04d}/{BEST_WEIGHTS}")
    assert done.json["registered"]["version"] == "1"
    assert store.read("owner.json") is None
    sent = b"".join(store.read_all(store.keys("journal")))
    assert sent == (folder / "journal.jsonl").read_bytes()
    assert run_command(second, "rm", "lost", "--yes").exit_code == 0
    assert store.keys() == []


@needs_namespaces
def test_nodes_share_nothing_but_a_bucket(keys: dict[str, str], tmp_path: Path) -> None:
    data, root, driver = tmp_path / "set", tmp_path / "cluster", tmp_path / "driver"
    data.mkdir()
    write_stroke_phantom(data, train_patients=12, test_patients=6, image_px=64)
    with started_cluster(root, **keys) as cluster:
        with_store(driver)
        worker = cluster.add("worker-1", 1, [driver, data], **keys)
        budget = ["--trials", 2, "--epochs", 2, "--finalists", 1, "--seeds", 2, "--witness", "--id", "apart", "--json"]
        place = ["--address", cluster.address, "--storage", "s3://lab/apart", "--data", data]
        line = ["sweep", "stroke_hybrid", *TINY, *map(str, budget), *place]
        done = run_command(driver, *line, timeout_s=1500, **cluster.environment)
    assert done.exit_code == 0, done.stderr
    folder = driver / "sweeps" / "apart"
    assert compare(records_of(folder, driver), 2, 2) == []
    events, _ = read_events(folder / "journal.jsonl")
    assert {event.node for event in events if isinstance(event, EpochEnded)} == {"worker-1"}
    state = state_of(folder)
    assert (folder / "finalists" / f"{state.winner:04d}" / METRICS_FILE).is_file()
    assert len(state.retrained("seed")[state.winner]) == 2
    left = [path for path in (worker.home / "cache" / "stored" / "apart" / "trials").rglob("*") if path.is_file()]
    assert left == [], "the worker's disk is free"
