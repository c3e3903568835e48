"""Trials on a cluster that grows, and several on one GPU: a real Ray, declared GPUs, trials that train nothing."""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray
from no_training import EPOCHS, NoTraining, write_setup
from ray.cluster_utils import Cluster
from sweep_support import make_plan, open_sweep

from orchestrator.open_sweep import OpenSweep
from orchestrator.tuning.local_ray import ENVIRONMENT
from orchestrator.tuning.resources import Slots
from orchestrator.tuning.runner import run_trials
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles

pytestmark = [pytest.mark.sweep, pytest.mark.faults]
OBJECT_STORE_BYTES = 80 * 2**20
NAP_S = 10.0  # longer than an actor takes to start: Tune gives a trial that waits for one to a faster one


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(["tests/support", *sys.path])}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # empty, it lets no node declare GPUs
    cluster = Cluster()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def join(cluster: Cluster, cpus: int, gpus: int = 0) -> None:
    cluster.add_node(
        num_cpus=cpus, num_gpus=gpus, include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES,
        env_vars={"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
    )  # fmt: skip


def run(sweep: OpenSweep, slots: Slots) -> list[tuple[float, float]]:
    """Run every trial of the plan; return when each began and ended."""
    files = TrialFiles(sweep.folder / "trials", sweep.state)
    run_trials(sweep, write_setup(sweep.folder, NAP_S), slots, Stopping(), files, NoTraining)
    assert all(trial.state == "completed" for trial in sweep.state.trials.values())
    return [(trial.started_at, trial.ended_at or 0.0) for trial in sweep.state.trials.values()]


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


def plan_of(trials: int, *architectures: str):
    return make_plan(
        budget__trials=trials, budget__epochs=EPOCHS, algorithm="random", scheduler__name="none",
        architectures={name: {} for name in architectures},
    )  # fmt: skip


def test_a_node_that_joins_is_used(cluster: Cluster, tmp_path: Path) -> None:
    join(cluster, cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    with open_sweep(tmp_path / "sweep", plan_of(7)) as sweep, ThreadPoolExecutor(1) as aside:
        running = aside.submit(run, sweep, Slots(count=1, threads=1, gpu_share=0.0, gpus=0))
        while not any(trial.has_ended for trial in list(sweep.state.trials.values())):
            assert not running.done(), running.result()
            time.sleep(0.1)
        join(cluster, cpus=2)
        spans = running.result()
    assert most_at_once(spans) == 3, spans


def test_trials_share_a_gpu(cluster: Cluster, tmp_path: Path) -> None:
    join(cluster, cpus=4, gpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    with open_sweep(tmp_path / "sweep", plan_of(4)) as sweep:
        spans = run(sweep, Slots(count=2, threads=1, gpu_share=0.5, gpus=1))
    assert most_at_once(spans) == 2, "two halves of one GPU, though there are four CPUs"


def test_trials_of_two_sizes_share_a_gpu_one_size_after_the_other(cluster: Cluster, tmp_path: Path) -> None:
    join(cluster, cpus=4, gpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    slots = Slots(count=2, threads=1, gpu_share=1.0, gpus=1, shares={"baseline_cnn": 0.5, "resnet_vit": 1.0})
    with open_sweep(tmp_path / "sweep", plan_of(4, "baseline_cnn", "resnet_vit")) as sweep:
        run(sweep, slots)
        trials = [sweep.state.trials[number] for number in range(4)]
    assert [trial.architecture for trial in trials] == ["baseline_cnn", "resnet_vit"] * 2
    small, large = ([(t.started_at, t.ended_at or 0.0) for t in trials[first::2]] for first in (0, 1))
    assert (most_at_once(large), most_at_once(small)) == (1, 2)
    assert max(end for _, end in large) <= min(begin for begin, _ in small), "the largest first"
