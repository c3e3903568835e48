"""Slots: how many trials run at once, and what each gets."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.errors import BadInput

MAX_SLOTS_PER_CPU = 16
GPU_SHARES = (1.0, 0.5, 0.25, 0.125)
CONTEXT_MIB = 600.0  # what a process takes of a GPU before it holds a single tensor
MEMORY_MARGIN = 1.25  # configurations of a search space differ in what they take


@dataclass(frozen=True)
class Slots:
    """`count` trials at once, each with `threads` CPU threads and `gpu_share` of one GPU.

    Each takes `cpus_each` of the CPUs that Ray counts; there are never more than `most`, whatever nodes join. Where
    architectures differ in size, `shares` has each one's own, and the count is that of the smallest, the share that of
    the largest.
    """

    count: int
    threads: int
    gpu_share: float
    gpus: int
    cpus_each: int = 1
    most: int | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """Return the device that trials train on."""
        return "cuda" if self.gpu_share > 0 else "cpu"

    def share(self, architecture: str) -> float:
        """Return what a trial of an architecture gets of one GPU."""
        return self.shares.get(architecture, self.gpu_share)

    def at_once(self, architecture: str) -> int:
        """Return how many trials of an architecture run at once."""
        return min(self.count, round(self.gpus / self.shares[architecture])) if self.shares else self.count


def find_slots(requested: int | None, gpus: int, gpu_share: float | None = None) -> Slots:
    """Divide this machine: one trial per GPU, or one per CPU where there is no GPU, unless N slots were asked for.

    `gpu_share`: of one GPU for each trial, one of GPU_SHARES. Raises BadInput for fewer than one slot, and for a share
    where there is no GPU.
    """
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if gpu_share is not None and not gpus:
        raise BadInput(f"--gpus-per-trial {gpu_share:g}: there is no GPU here; leave the flag out")
    if requested is not None and requested < 1:
        raise BadInput(f"--slots {requested}: expected auto or a whole number of at least 1")
    if requested is not None and requested > MAX_SLOTS_PER_CPU * cpus:
        raise BadInput(f"--slots {requested}: more than {MAX_SLOTS_PER_CPU} for each of {cpus} CPUs; each is a process")
    if gpu_share is not None:
        fitting = round(gpus / gpu_share)
        if requested is not None and requested > fitting:
            raise BadInput(f"--slots {requested}: {gpus} GPUs hold {fitting} trials of {gpu_share:g} each")
        count = requested or min(fitting, cpus)
        return Slots(count=count, threads=max(1, cpus // count), gpu_share=gpu_share, gpus=gpus)
    count = requested or gpus or cpus
    share = share_of(count, gpus) if gpus else 0.0
    return Slots(count=count, threads=max(1, cpus // count), gpu_share=share, gpus=gpus)


def share_of(count: int, gpus: int) -> float:
    """Return what one of `count` trials gets of a GPU, all alike. Raises BadInput for more than they hold."""
    on_one = -(-count // gpus)
    fitting = [share for share in GPU_SHARES if round(1 / share) >= on_one]
    if not fitting:
        most = round(gpus / GPU_SHARES[-1])
        raise BadInput(f"--slots {count}: {on_one} trials on one GPU; {gpus} GPUs hold {most} at most")
    return max(fitting)


def packed_slots(peaks_mib: Mapping[str, float], cards_mib: Sequence[float], divide: Callable[[float], Slots]) -> Slots:
    """Divide GPUs, given by the memory of each, so that every architecture gets what its own peak needs.

    `divide` gives the slots of trials that are all of one share.
    """
    shares = {name: fitting_share(peak_mib, cards_mib) for name, peak_mib in peaks_mib.items()}
    slots = divide(min(shares.values()))
    largest = max(shares.values())
    return replace(slots, gpu_share=largest, shares=shares) if largest > slots.gpu_share else slots


def fitting_share(peak_mib: float, cards_mib: Sequence[float]) -> float:
    """Return the smallest of GPU_SHARES whose memory holds a trial with some room to spare; a whole GPU otherwise.

    A trial may come to any card, so that the smallest one decides.
    """
    need_mib = peak_mib * MEMORY_MARGIN + CONTEXT_MIB
    holding = [share for share in GPU_SHARES if need_mib <= share * min(cards_mib)]
    return min(holding, default=1.0)
