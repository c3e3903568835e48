"""What the preflight says of an architecture's memory is its own, not that of the one before."""

import sys

import numpy as np
import pytest

from orchestrator.inspecting.architectures import _peak_memory_mib


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot forget a process's peak")
def test_a_small_peak_after_a_large_one_is_seen() -> None:
    before_mib = _peak_memory_mib("cpu", reset=True)
    np.ones((200, 2**17))
    assert _peak_memory_mib("cpu") - before_mib == pytest.approx(200, abs=40)
    before_mib = _peak_memory_mib("cpu", reset=True)
    np.ones((40, 2**17))
    assert _peak_memory_mib("cpu") - before_mib == pytest.approx(40, abs=20)
