"""The journal's last line where a sweep does not come to its end."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sweep_support import begin, epoch, make_plan, open_sweep

from orchestrator import sweep as main_job
from orchestrator import sweep_report
from orchestrator.errors import BadInput, DiskFull, Interrupted
from orchestrator.journal import SweepEnded, SweepResumed, TrialEnded, read_events
from orchestrator.open_sweep import Notice, OpenSweep, opened
from orchestrator.report.writer import page_of_sweep
from orchestrator.resume import write_what_is_shown
from orchestrator.sweep import _synced, told_if_broken_off
from orchestrator.tuning.stopping import Stopping


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


@pytest.mark.parametrize("error", [Interrupted("interrupted by the user"), KeyboardInterrupt(), KeyError("x")])
@pytest.mark.parametrize("has_ended", [True, False])
def test_what_there_is_has_a_report_where_a_trial_has_ended(tmp_path: Path, error, has_ended: bool) -> None:
    with open_sweep(tmp_path) as sweep:
        end_of_trial(sweep, has_ended)
    said = broken_off(tmp_path, error)
    page = page_of_sweep(tmp_path)
    assert said == ([f"report of what there is: {page}"] if has_ended else [])
    assert page.exists() == has_ended
    assert not has_ended or "running or killed" not in page.read_text()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("x")])
def test_who_does_not_wait_for_the_report_is_told_how_to_write_it(tmp_path: Path, monkeypatch, fault) -> None:
    def broken(*arguments: object) -> None:
        raise fault

    with open_sweep(tmp_path) as sweep:
        end_of_trial(sweep, has_ended=True)
    monkeypatch.setattr(sweep_report, "write_sweep_report", broken)
    assert broken_off(tmp_path, Interrupted("x")) == ["for a report of what there is: orchestrate report s"]
    monkeypatch.undo()
    monkeypatch.setattr(sweep_report, "MOST_TRIALS_AT_EXIT", 0)
    with open_sweep(tmp_path) as sweep:
        sweep.append(resumed())
    assert broken_off(tmp_path, Interrupted("x")) == ["for a report of what there is: orchestrate report s"]
    assert not page_of_sweep(tmp_path).exists()


def end_of_trial(sweep: OpenSweep, has_ended: bool) -> None:
    begin(sweep, 0)
    sweep.append(epoch(0, 1, 0.7))
    if has_ended:
        sweep.append(TrialEnded(trial=0, state="pruned", reason="ASHA at epoch 1"))


def resumed() -> SweepResumed:
    return SweepResumed(plan=make_plan(), plan_digest="", slots=1, device="cpu", versions={}, git={})


def broken_off(folder: Path, error: BaseException) -> list[str]:
    """Break a sweep off and return what was told beside its events."""
    said: list[str] = []
    with (
        opened(folder, lambda event, state: said.append(event.text) if isinstance(event, Notice) else None) as sweep,
        pytest.raises(type(error)),
        told_if_broken_off(sweep),
        told_if_broken_off(sweep),
    ):
        raise error
    assert sweep.state.ended is not None
    return said


def test_who_does_not_wait_for_the_last_figures_has_a_whole_sweep_all_the_same(tmp_path: Path) -> None:
    class Sync:
        def close(self, within_s: float = 0.0) -> None:
            raise KeyboardInterrupt

    stop_request = tmp_path / "stop"
    with _synced(Sync(), stop_request, Stopping()):
        pass
    assert stop_request.exists(), "of several sweeps no other begins"


@pytest.mark.parametrize(("spent_s", "left_s"), [(3.0, 6.0), (8.0, 2.0), (40.0, 0.0)])
def test_after_an_interruption_sync_has_what_is_left_of_one_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spent_s: float, left_s: float
) -> None:
    given_s: list[float] = []
    sync = SimpleNamespace(close=lambda within_s: given_s.append(within_s))
    stopping = Stopping()
    stopping.request("user")
    monkeypatch.setattr(Stopping, "requested_for_s", spent_s)
    with pytest.raises(Interrupted), _synced(sync, tmp_path / "stop", stopping):
        raise Interrupted("by the user")
    assert given_s == [left_s]


def test_what_an_early_interruption_kept_from_mlflow_is_written_by_resume(tmp_path: Path, monkeypatch) -> None:
    def report(folder: Path, *about: object) -> None:
        folder.mkdir(exist_ok=True)
        for name in ("split.csv", "preprocessing.png"):
            (folder / name).write_text("whole")

    monkeypatch.setattr(main_job, "write_data_report", report)
    monkeypatch.setattr(main_job, "git_diff", lambda: "+ of now")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "split.csv").write_text("half")
    planned = SimpleNamespace(plan=make_plan(), data=None)
    with open_sweep(tmp_path) as sweep:
        sweep.append(resumed())
        write_what_is_shown(sweep, planned)
        assert (tmp_path / "data" / "split.csv").read_text() == "whole"
        assert (tmp_path / "code.patch").read_text() == "+ of now\n", "the commit is that of the start"
        (tmp_path / "data" / "split.csv").write_text("as it was")
        sweep.append(resumed().model_copy(update={"git": {"commit": "another", "dirty": "true"}}))
        monkeypatch.setattr(main_job, "git_diff", lambda: "+ of later")
        write_what_is_shown(sweep, planned)
    assert (tmp_path / "data" / "split.csv").read_text() == "as it was"
    assert (tmp_path / "code.patch").read_text() == "+ of now\n", "it belongs to the first commit"
    assert (tmp_path / "code_resumed.patch").read_text() == "+ of later\n"
