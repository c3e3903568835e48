"""What an epoch used of the machine: memory, and of a GPU how busy it was."""

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch

MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10
SAMPLE_EVERY_S = 1.0  # the driver's own figure is a mean over as long at most


class Usage:
    """Measures of one epoch; `gpu_use` and `gpu_peak_bytes` are asked on a GPU only."""

    def __init__(
        self,
        device: str,
        gpu_use: Callable[[], float] = torch.cuda.utilization,
        gpu_peak_bytes: Callable[[], int] = torch.cuda.max_memory_allocated,
    ) -> None:
        self._is_gpu = device == "cuda"
        self._gpu_use, self._gpu_peak_bytes = gpu_use, gpu_peak_bytes
        self._samples_percent: list[float] = []
        self._can_sample = self._is_gpu
        self._sampled_s = time.monotonic()
        if self._is_gpu and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def sample(self) -> None:
        """Take note of how busy the GPU is, once a second at most; heard between batches."""
        if not self._can_sample or time.monotonic() - self._sampled_s < SAMPLE_EVERY_S:
            return
        self._sampled_s = time.monotonic()
        try:
            self._samples_percent.append(float(self._gpu_use()))
        except Exception:  # noqa: BLE001  no nvidia-ml-py, a share of a GPU: whatever the driver raises, nobody needs it
            self._can_sample = False

    def measured(self) -> dict[str, float | None]:
        """Return the metrics; the use of the GPU is left out where nothing tells it."""
        if not self._is_gpu:
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MIB
            return {"perf/process_peak_mib": peak_mib}
        if not self._samples_percent:  # an epoch of less than a second
            self._sampled_s = -math.inf
            self.sample()
        metrics: dict[str, float | None] = {"perf/gpu_peak_mib": self._gpu_peak_bytes() / 2**20}
        if self._samples_percent:
            metrics["perf/gpu_use_percent"] = statistics.fmean(self._samples_percent)
        return metrics
