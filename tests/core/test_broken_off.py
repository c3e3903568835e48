"""The journal's last line where a sweep does not come to its end."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import open_sweep

from orchestrator.errors import BadInput, DiskFull, Interrupted
from orchestrator.journal import SweepEnded, read_events
from orchestrator.sweep import _synced, told_if_broken_off


@pytest.mark.parametrize(
    ("error", "raised", "state", "reason"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted", "interrupted by the user"),
        (SystemExit(1), Interrupted, "interrupted", "interrupted by the user"),
        (Interrupted("Ray was lost"), Interrupted, "interrupted", "Ray was lost"),
        (DiskFull("the disk is full"), DiskFull, "interrupted", "the disk is full"),
        (BadInput("test data changed"), BadInput, "failed", "test data changed"),
        (KeyError("x"), KeyError, "failed", "KeyError: 'x'"),
    ],
)
def test_how_a_sweep_was_broken_off_is_told_once(tmp_path: Path, error, raised, state: str, reason: str) -> None:
    with open_sweep(tmp_path / "s") as sweep, pytest.raises(raised):
        with told_if_broken_off(sweep), told_if_broken_off(sweep):
            raise error
    ends = [event for event in read_events(tmp_path / "s" / "journal.jsonl")[0] if isinstance(event, SweepEnded)]
    assert [(end.state, end.reason) for end in ends] == [(state, reason)]


def test_who_does_not_wait_for_the_last_figures_has_a_whole_sweep_all_the_same() -> None:
    class Sync:
        def close(self, within_s: float = 0.0) -> None:
            raise KeyboardInterrupt

    with _synced(Sync()):
        pass
    with pytest.raises(Interrupted), _synced(SimpleNamespace(close=lambda within_s: None)):
        raise Interrupted("before its end, it is not")
