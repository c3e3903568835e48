"""What a cluster costs beside one machine: seconds to ship decoded images to a node, and a sweep either way.

    PYTHONPATH=tests/support python tests/benchmarks/cluster_path.py [--images 1000,10000] [--image-px 224] [--trials 4]

Starts a head that runs no trial and one node, in mount namespaces (root, Linux), a token on. The node gets each array
twice: the second time it is there. Then the same small phantom sweep on one slot: by a Ray of its own, and attached to
the cluster with the node's image cache empty; both run in a home that has phantom and store.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from cluster_support import started_cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tests_support import TINY, run_command, with_phantom, with_store

from orchestrator.tuning.cluster import attach, detach
from orchestrator.tuning.shipping import on_this_node, serve_driver_files
from trainables.data.cache import digest_file


def fetched_s(array: Path, digest: str) -> float:
    began_s = time.perf_counter()
    on_this_node(array, digest)
    return time.perf_counter() - began_s


def ship(address: str, folder: Path, sizes: list[int], image_px: int) -> None:
    (node,) = attach(address)
    serve_driver_files()
    there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
    task: Any = ray.remote(fetched_s)
    task = task.options(scheduling_strategy=there)
    for count in sizes:
        path = folder / f"{count}.npy"
        generator = np.random.default_rng(0)
        np.save(path, generator.integers(0, 256, (count, image_px, image_px), dtype=np.uint8))
        digest = digest_file(path)
        first_s, again_s = (ray.get(task.remote(path, digest)) for _ in range(2))
        mib = path.stat().st_size / 2**20
        print(
            f"{count} images, {mib:.0f} MiB: {first_s:.2f} s ({mib / first_s:.0f} MiB/s), again {again_s:.4f} s",
            flush=True,
        )
        path.unlink()
    detach()


def sweep_s(home: Path, trials: int, *where: str, **environment: str) -> float:
    budget = ["--trials", str(trials), "--epochs", "3", "--finalists", "1", "--set", "scheduler.name=none"]
    began_s = time.monotonic()
    done = run_command(home, "sweep", "stroke_hybrid", *TINY, *budget, *where, "--json", timeout_s=900, **environment)
    assert done.exit_code == 0, done.stderr
    wall_s = time.monotonic() - began_s
    print(
        f"{' '.join(where[:2])}: {wall_s:.1f} s, epochs {json.loads(done.stdout)['epoch_compute_s']:.1f} s", flush=True
    )
    return wall_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", default="1000,10000")
    parser.add_argument("--image-px", type=int, default=224)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--ship", nargs=2, metavar=("ADDRESS", "FOLDER"), help="only that, from this process")
    options = parser.parse_args()
    sizes = list(map(int, options.images.split(",")))
    if options.ship:
        ship(options.ship[0], Path(options.ship[1]), sizes, options.image_px)
        return
    with tempfile.TemporaryDirectory() as name, started_cluster(Path(name)) as cluster:
        root = Path(name)
        head = with_phantom(with_store(cluster.nodes["head"].home))
        cluster.add("worker", 1, [head])
        (root / "shared").mkdir()
        line = [sys.executable, __file__, *sys.argv[1:], "--ship", cluster.address, str(head)]
        subprocess.run(
            line, env=os.environ | cluster.environment, check=True
        )  # Ray reads its token once, when imported
        local_s = sweep_s(head, options.trials, "--slots", "1", "--id", "local")
        where = ["--address", cluster.address, "--storage", str(root / "shared"), "--id", "attached"]
        attached_s = sweep_s(head, options.trials, *where, **cluster.environment)
        print(f"attached / local: {attached_s / local_s:.2f}")


if __name__ == "__main__":
    main()
