"""How many trials a running cluster holds, as nodes join and go."""

import math
import time

import ray

from orchestrator.tuning.resources import Slots

HOLDS_S = 1.0


class ClusterRoom:
    """How many trials the cluster holds just now: asked once a second, as Ray's answer costs a call."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._found, self._asked_at_s = 0, -math.inf

    def __call__(self) -> int:
        """Return the number of trials that may run at once, on nodes that joined since as well."""
        now_s = time.monotonic()
        if now_s - self._asked_at_s > HOLDS_S:
            held = sum(_held(node["Resources"], self._slots) for node in ray.nodes() if node["Alive"])
            self._found = min(held, self._slots.most or held)
            self._asked_at_s = now_s
        return self._found


def _held(resources: dict[str, float], slots: Slots) -> int:
    by_cpu, share = int(resources.get("CPU", 0)) // slots.cpus_each, slots.gpu_share
    return min(by_cpu, int(resources.get("GPU", 0) / share + 1e-6)) if share else by_cpu
