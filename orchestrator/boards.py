"""Which sweeps stand in one leaderboard, and what a reader of their scores must know of the data."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.history import same_data, why_apart
from orchestrator.plan import DataSummary
from orchestrator.ranking import LeaderboardRow, leaderboard
from orchestrator.sweep_state import SweepState
from orchestrator.test_ledger import TestRead, count_in_words, read_ledger


@dataclass(frozen=True)
class Board:
    """Sweeps on the same data, ranked together; `apart_reason` says why their scores compare with no others."""

    sweeps: list[SweepState]
    rows: list[LeaderboardRow]
    test_reads: list[TestRead]
    apart_reason: str = ""

    @property
    def metric(self) -> str:
        """Return the validation metric that ranks them."""
        return self.sweeps[0].plan.metric

    @property
    def data(self) -> DataSummary:
        """Return what the newest sweep's plan says of the data."""
        return self.sweeps[-1].plan.data

    @property
    def flags(self) -> dict[str, Any]:
        """Return what audit and split say of the data and the held-out images, as plain values."""
        return {
            "data_kind": self.data.kind,
            "split": self.data.split,
            "grouped_by": self.data.grouped_by,
            "test_images": sum(self.data.images.get("test", {}).values()),
            "leaking_test_images": sum(self.data.leaks.values()),
        }

    def flags_in_words(self) -> Iterator[str]:
        """Yield a line for each kind of flag."""
        data, images = self.data, self.flags["test_images"]
        yield f"trained on {data.kind} data, {data.split} split, grouped by {data.grouped_by}"
        yield f"these {images} test images so far: {count_in_words(self.test_reads)}"
        leaking = self.flags["leaking_test_images"]
        if leaking:
            yield f"{leaking} of these {images} test images leak: development has seen them or their likes"


def boards_of(sweeps: list[SweepState], ledger: Path) -> list[Board]:
    """Return the board of the sweeps that compare with the newest one, then one for each that stands apart."""
    apart = [([state], why) for state in sweeps if (why := why_apart(state, sweeps[-1]))]
    return [
        Board(own, leaderboard(own), read_ledger(ledger, own[-1].plan.data.test_digest), why)
        for own, why in [(same_data(sweeps), ""), *apart]
    ]
