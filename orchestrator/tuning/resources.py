"""Slots: how many trials run at once, and what each gets."""

import os
import sys
from dataclasses import dataclass

from orchestrator.errors import BadInput

MAX_SLOTS_PER_CPU = 16


@dataclass(frozen=True)
class Slots:
    """`count` trials at once, each with `threads` CPU threads and `gpu_share` of one GPU."""

    count: int
    threads: int
    gpu_share: float
    gpus: int

    @property
    def device(self) -> str:
        """Return the device that trials train on."""
        return "cuda" if self.gpu_share > 0 else "cpu"


def find_slots(requested: int | None, gpus: int) -> Slots:
    """Divide this machine: one trial per GPU, or one per CPU where there is no GPU, unless N slots were asked for.

    Raises BadInput for fewer than one slot.
    """
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if requested is not None and requested < 1:
        raise BadInput(f"--slots {requested}: expected auto or a whole number of at least 1")
    if requested is not None and requested > MAX_SLOTS_PER_CPU * cpus:
        raise BadInput(f"--slots {requested}: more than {MAX_SLOTS_PER_CPU} for each of {cpus} CPUs; each is a process")
    count = requested or gpus or cpus
    threads = max(1, cpus // count)
    share = 1 / -(-count // gpus) if gpus else 0.0
    return Slots(count=count, threads=threads, gpu_share=share, gpus=gpus)
