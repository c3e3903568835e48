"""The end of a process that hangs, with its stacks in the log: neither Tune nor Ray's tasks have a limit of time."""

import faulthandler
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.tuning.trial_setup import TrialSetup
from trainables.training.run import EpochRecord

HANG_FACTOR = 10.0
LEAST_TIMEOUT_S = 120.0  # a busy disk or CPU can hold up the shortest epoch so long
FIRST_TIMEOUT_S = 600.0  # weights may have to be read
JUDGING_TIMEOUT_S = 7200.0  # explanations ask a large network thousands of times, on a CPU too


@contextmanager
def ended_if_hanging(within_s: float) -> Iterator[None]:
    """End this process, its stacks on stderr, when the block takes longer."""
    faulthandler.dump_traceback_later(within_s, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def epoch_limit_s(setup: TrialSetup, architecture: str, epochs_s: Sequence[float]) -> float:
    """Return how long the next epoch may take: far longer than those before it, or than forecast."""
    if setup.epoch_timeout_s:
        return setup.epoch_timeout_s
    if epochs_s:
        return max(LEAST_TIMEOUT_S, HANG_FACTOR * statistics.median(epochs_s))
    return max(FIRST_TIMEOUT_S, HANG_FACTOR * setup.forecast_epoch_s.get(architecture, 0.0))


def judging_limit_s(setup: TrialSetup, architecture: str) -> float:
    """Return how long a finalist may be judged and explained; a shorter limit of epochs is none of it."""
    return max(JUDGING_TIMEOUT_S, epoch_limit_s(setup, architecture, []))


def guarded(epochs: Iterator[EpochRecord], setup: TrialSetup, architecture: str) -> Iterator[EpochRecord]:
    """Yield the epochs of a training; the process ends where one of them hangs."""
    epochs_s: list[float] = []
    while True:
        with ended_if_hanging(epoch_limit_s(setup, architecture, epochs_s)):
            record = next(epochs, None)
        if record is None:
            return
        epochs_s.append(record.metrics["perf/epoch_s"] or 0.0)
        yield record
