"""Memory and GPU use of an epoch; the GPU is a stand-in."""

from types import SimpleNamespace

import pytest

from trainables.training import usage
from trainables.training.usage import Usage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(usage, "time", SimpleNamespace(monotonic=lambda: clock.now_s))
    return clock


def test_on_a_cpu_it_is_the_memory_of_the_process_and_no_gpu_is_asked() -> None:
    def never() -> float:
        raise AssertionError("asked")

    used = Usage("cpu", never, never)
    used.sample()
    measured = used.measured()
    assert set(measured) == {"perf/process_peak_mib"}
    assert 50 < measured["perf/process_peak_mib"] < 100_000


def test_on_a_gpu_it_is_its_peak_and_the_mean_of_a_sample_each_second(clock: SimpleNamespace) -> None:
    percents = iter([50.0, 100.0])
    used = Usage("cuda", lambda: next(percents), lambda: 3 * 2**30)
    for now_s in (0.5, 1.0, 1.5, 1.9, 2.0):
        clock.now_s = now_s
        used.sample()
    assert used.measured() == {"perf/gpu_peak_mib": 3072.0, "perf/gpu_use_percent": 75.0}


def test_an_epoch_of_less_than_a_second_is_sampled_at_its_end(clock: SimpleNamespace) -> None:
    used = Usage("cuda", lambda: 80.0, lambda: 0)
    used.sample()
    assert used.measured()["perf/gpu_use_percent"] == 80.0


def test_where_nothing_tells_the_use_it_is_left_out_and_asked_once(clock: SimpleNamespace) -> None:
    asked: list[float] = []

    def missing() -> float:
        asked.append(clock.now_s)
        raise ModuleNotFoundError("pynvml")

    used = Usage("cuda", missing, lambda: 2**20)
    for now_s in (1.0, 2.0, 3.0):
        clock.now_s = now_s
        used.sample()
    assert used.measured() == {"perf/gpu_peak_mib": 1.0}
    assert asked == [1.0]
