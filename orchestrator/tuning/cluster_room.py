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
            there, share = ray.cluster_resources(), self._slots.gpu_share
            by_cpu = int(there.get("CPU", 1))
            self._found = min(by_cpu, int(there.get("GPU", 0) / share + 1e-6)) if share else by_cpu
            self._asked_at_s = now_s
        return self._found
