"""A sweep on a real Ray cluster with a token: submitted, a node dies, one joins, no disk is shared but the storage."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster_support import StartedCluster, needs_namespaces, started_cluster
from process_support import is_alive, pids_naming
from record_support import compare, records_of
from started_sweep import change_module
from tests_support import TINY, Finished, all_cores, run_command, with_phantom, with_store

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, read_events
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store

pytestmark = [pytest.mark.sweep, needs_namespaces]
TRIALS, EPOCHS = 5, 4
HELD_AFTER = 2  # epochs: trials wait for the node that joins, however fast they are
BUDGET = ["--trials", str(TRIALS), "--epochs", str(EPOCHS), "--finalists", "1", "--set", "scheduler.name=none"]
WITHIN_S = 420


def sweep_arguments(cluster: StartedCluster, sweep_id: str, *more: str) -> list[str]:
    own = ["--address", cluster.address, "--storage", str(cluster.root / "shared"), "--id", sweep_id]
    return ["sweep", "stroke_hybrid", *TINY, *BUDGET, *own, *more]


def epochs_in(journal: Path) -> list[EpochEnded]:
    events = read_events(journal)[0] if journal.exists() else []
    return [event for event in events if isinstance(event, EpochEnded)]


def test_a_submitted_sweep_loses_a_node_and_gains_one(tmp_path: Path) -> None:
    user, shared = tmp_path / "elsewhere" / "home", tmp_path / "shared"
    user.parent.mkdir()
    shared.mkdir()
    gate = shared / "go on"
    change_module(
        tmp_path,
        "trainables.training.learner",
        "import pathlib, time\n"
        "train = module.Learner.train_epoch\n"
        "def held(self, epoch, watch=None):\n"
        f"    while epoch > {HELD_AFTER} and not pathlib.Path({str(gate)!r}).exists():\n"
        "        time.sleep(0.1)\n"
        "    return train(self, epoch, watch)\n"
        "module.Learner.train_epoch = held\n",
    )
    with all_cores(), started_cluster(tmp_path) as cluster:
        head = with_phantom(with_store(cluster.nodes["head"].home))
        first = cluster.add("worker-1", 1, [head], PYTHONPATH=str(tmp_path))
        second = cluster.add("worker-2", 1, [head, first.home], PYTHONPATH=str(tmp_path))
        journal = shared / "one" / "journal.jsonl"

        def asked(*words: str) -> Finished:
            return run_command(user, *words, **cluster.environment)

        def trains() -> bool:
            return any(map(is_alive, pids_naming(f"--storage {shared} ")))  # the driver, which `submit` has started

        def wait_until(happened: Callable[[], bool], while_true: Callable[[], bool] = lambda: True) -> None:
            deadline = time.monotonic() + WITHIN_S
            while not happened():
                assert while_true() and time.monotonic() < deadline, asked("logs", "one").stdout
                time.sleep(0.2)

        line = ["stroke_hybrid", *TINY, *BUDGET, "--witness", "--storage", str(shared), "--id", "one"]
        line += ["--set", f"budget.epoch_timeout_s={WITHIN_S}"]
        submitted = asked("submit", *line, "--address", cluster.dashboard)
        assert submitted.exit_code == 0, submitted.stderr
        wait_until(trains)
        wait_until(lambda: {event.node for event in epochs_in(journal)} >= {"worker-1", "worker-2"}, while_true=trains)
        second.kill()
        third = cluster.add("worker-3", 1, [head, first.home], PYTHONPATH=str(tmp_path))
        gate.touch()
        wait_until(lambda: not trains())
        told_of = asked("status", "one", "--json").json
        assert (told_of["state"], told_of["job_status"]) == ("completed", "SUCCEEDED"), asked("logs", "one").stdout
        told = epochs_in(journal)
        by_node = {name: {event.trial for event in told if event.node == name} for name in cluster.nodes}
        assert by_node["worker-3"], f"the node that joined was not used: {by_node}"
        assert {event.node for event in told} <= {"worker-1", "worker-2", "worker-3"}, "none trained on the head"
        found = records_of(shared / "one", head)
        assert compare(found, TRIALS, EPOCHS) == []
        assert found.most_redone()[0] <= 1
        shipped = [list((node.home / "cache" / "shipped").glob("*/images.npy")) for node in (first, third)]
        assert all(len(arrays) >= 1 for arrays in shipped), "each node has its own copy of the images"
        ledger = [line for line in (head / "test_reads.jsonl").read_text().splitlines() if '"evaluation"' in line]
        assert len(ledger) == 1, "the finalist's read of test images is noted where the driver is"
        assert not list(first.home.rglob("test_reads.jsonl")) + list(third.home.rglob("test_reads.jsonl"))
        masks = found.state.finalists[found.state.winner or 0].further
        assert any("pointing" in name for name in masks), "masks of the phantom reached the node"


@pytest.mark.faults
def test_what_is_wrong_with_a_cluster_is_one_line(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    with started_cluster(tmp_path) as cluster:
        head = with_phantom(with_store(cluster.nodes["head"].home))

        def refused(*more: str, **environment: str) -> str:
            done = run_command(head, *sweep_arguments(cluster, "two", *more), **environment)
            assert done.exit_code == 2, done.stderr
            assert "Traceback" not in done.stderr
            return " ".join(done.stderr.split())

        assert "none of its nodes has a CPU for trials" in refused(**cluster.environment)
        worker = cluster.add("worker-1", 1, [head, shared])
        said = refused(**cluster.environment)
        assert f"--storage {shared}: is not shared with node worker-1" in said
        assert "another token" in refused(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="0" * 64)
        assert "another token" in refused(RAY_AUTH_MODE="disabled")
        assert "no node of the cluster has a GPU" in refused("--gpus-per-trial", "1", **cluster.environment)
        assert "have 1 CPUs for trials" in refused("--slots", "4", **cluster.environment)
        worker.kill()
        code = Path(__file__).parents[2]
        other = tmp_path / "other_code"
        for package in ("orchestrator", "trainables"):
            shutil.copytree(code / package, other / package)
        (other / "trainables" / "errors.py").open("a").write("# another version\n")
        stale = cluster.add("worker-2", 1, [head], PYTHONPATH=str(other))
        for _ in range(6):  # until Ray knows that the first one is gone
            said = refused(**cluster.environment)
            if "node worker-2" in said:
                break
        assert "runs another version of this project" in said
        stale.kill()
        assert not (head / "sweeps").exists() and not list(shared.iterdir()), "nothing was begun"


@pytest.mark.faults
def test_a_store_that_nobody_answers_is_told_once_and_sent_to_later(tmp_path: Path) -> None:
    shared, store, port = tmp_path / "shared", tmp_path / "store", free_port()
    shared.mkdir()
    store.mkdir()
    uri = f"http://{HOST}:{port}"
    with started_cluster(tmp_path) as cluster:
        head = with_phantom(cluster.nodes["head"].home)
        cluster.add("worker-1", 2, [head])
        few = ["--trials", "2", "--epochs", "2", "--json"]
        line = sweep_arguments(cluster, "three", *few)
        done = run_command(head, *line, MLFLOW_TRACKING_URI=uri, **cluster.environment)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("is out of reach") == 1, done.stderr
    assert (len(epochs_in(shared / "three" / "journal.jsonl")), done.json["registered"]) == (4, None)
    with mlflow_server(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts", Address(HOST, port)):
        sent = run_command(head, "sync", "three", MLFLOW_TRACKING_URI=uri)
        assert sent.exit_code == 0, sent.stderr
        client = open_store(Home(head), uri)
        (experiment,) = [one for one in client.search_experiments() if one.name == "stroke"]
        runs = client.search_runs([experiment.experiment_id])
        registered = client.get_registered_model("stroke_phantom")
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 3
    assert list(registered.aliases.values()) == ["1"]
