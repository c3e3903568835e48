"""What the preflight says of an architecture's memory is its own, not that of the one before."""

import sys

import numpy as np
import pytest

from orchestrator.inspecting.architectures import _peak_memory_mib


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot forget a process's peak")
def test_a_small_peak_after_a_large_one_is_seen() -> None:
    assert seen_of(200) == pytest.approx(200, abs=40)
    assert seen_of(40) == pytest.approx(40, abs=20)


def seen_of(array_mib: int) -> float:
    """Return how far a peak rises for an array, at best: the system may take other memory away meanwhile."""
    risen_mib = []
    for _ in range(3):
        before_mib = _peak_memory_mib("cpu", reset=True)
        np.ones((array_mib, 2**17))
        risen_mib.append(_peak_memory_mib("cpu") - before_mib)
    return max(risen_mib)
