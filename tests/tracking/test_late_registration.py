"""A winner that was registered after its sweep had said that it was not."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sync_support import events, write

from orchestrator import sweep as main_job
from orchestrator.cli.show import show_result
from orchestrator.home import Home
from orchestrator.journal import FinalistEvaluated, Registered, SweepEnded, SweepTracked, WinnerChosen
from orchestrator.late_registration import note_registration_in
from orchestrator.open_sweep import opened, state_of
from orchestrator.sweep_result import SweepResult
from orchestrator.tracking.outcome import SyncOutcome, model_key, outcome_file, write_outcome

VERSION = Registered(name="stroke_phantom", version="4", aliases=["challenger"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep whose store was down when it ended."""
    finalist = FinalistEvaluated(trial=0, validation={"auroc": 0.8}, test={"auroc": 0.7})
    told = SweepTracked(tracking_uri="http://x", run_id=None, trial_run_ids={}, registered=None, fault="refused")
    lines = [*events("late", end=False), finalist, WinnerChosen(trial=0), told, SweepEnded(state="completed")]
    write(tmp_path, lines)
    return tmp_path


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What each report that was written says of the version."""
    said: list[str | None] = []

    def note(folder: Path, state: object) -> None:
        registered = state.tracked.registered
        said.append(registered and registered.version)

    monkeypatch.setattr("orchestrator.sweep_report.write_sweep_report", note)
    return said


def registered_now(folder: Path) -> SyncOutcome:
    return SyncOutcome(tracking_uri="http://x", registered=VERSION, registered_for=model_key(state_of(folder)))


def test_what_sync_registered_while_the_driver_waited_stands_in_journal_and_report(
    folder: Path, reports: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []

    class Sync:
        def __init__(self, folder: Path, *about: object) -> None:
            started.append(folder)

        def close(self, within_s: float) -> None: ...

    monkeypatch.setattr(main_job, "SyncProcess", Sync)
    request = SimpleNamespace(home=Home(folder / "home"), tracking_uri=None)
    outcome = outcome_file(folder, request.home, None)
    with opened(folder, lambda event, state: None) as sweep:
        main_job._note_late_registration(sweep, request)
        assert (sweep.state.tracked.registered, reports, started) == (None, [], []), "nothing was registered so far"
        write_outcome(outcome, registered_now(folder))
        for _ in range(2):
            main_job._note_late_registration(sweep, request)
    assert state_of(folder).tracked.registered == VERSION
    assert state_of(folder).has_completed
    assert (reports, started) == (["4"], [folder]), "once"


def test_what_was_sent_later_stands_in_journal_and_report(folder: Path, reports: list[str | None]) -> None:
    outcome = registered_now(folder)
    assert [note_registration_in(folder, outcome) for _ in range(2)] == [True, False]
    assert state_of(folder).tracked.registered == VERSION
    assert reports == ["4"]


@pytest.mark.parametrize("as_json", [True, False])
def test_that_nothing_was_registered_is_said_once(
    folder: Path, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show_result(SweepResult(folder, state_of(folder), 1.0), as_json)
    out, err = capsys.readouterr()
    assert (out + err).count("orchestrate sync") == 1
    line = "not registered: refused; orchestrate sync late sends and registers it later"
    assert line in (err if as_json else out)
