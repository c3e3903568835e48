"""The main job on one page: data -> plan -> preflight -> trials -> finalists -> winner, each step in the journal."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cache_upkeep import collect_garbage, held
from orchestrator.errors import Interrupted, NoUsableTrial, OrchestratorError
from orchestrator.home import Home
from orchestrator.inspecting.architectures import check_architecture
from orchestrator.inspecting.data import require_unchanged, write_data_report, write_unreadable
from orchestrator.inspecting.machine import git_state, versions
from orchestrator.journal import (
    ArchitectureChecked,
    JournalWriter,
    SweepEnded,
    SweepStarted,
    SweepTracked,
    Watch,
    WinnerChosen,
    read_events,
)
from orchestrator.leaderboard import choose_finalists
from orchestrator.sweep_planning import PlannedSweep, SweepRequest, plan_sweep
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.outcome import SyncOutcome, read_outcome
from orchestrator.tracking.process import SyncProcess
from trainables.catalog import TASKS
from trainables.evaluation.trial_files import BEST_WEIGHTS

if TYPE_CHECKING:
    from orchestrator.tuning.test_data import TestData
    from trainables.data.decoding import Progress


def run_sweep(request: SweepRequest, progress: "Progress", watch: Watch) -> SweepResult:
    """Run a sweep to its registered winner. `progress` hears of data, `watch` of every journal event.

    Raises BadInput before anything is trained, NoUsableTrial when nothing can be evaluated, Interrupted when the user
    ended it: the journal holds all that was done.
    """
    began_s = time.monotonic()
    collect_garbage(request.home.cache, request.max_cache_bytes)
    planned = plan_sweep(request, progress)
    checked = _check_architectures(planned)
    from orchestrator.tuning.runner import evaluate_finalists, local_ray, run_trials, train_folds

    folder = request.home.new_sweep(planned.plan.sweep)
    setup, test = _write_inputs(folder, planned, request.home)
    _write_data_report(folder / "data", planned)
    arrays = [*planned.data.development.arrays.values(), *planned.data.test.arrays.values()]
    with held(arrays), JournalWriter(folder / "journal.jsonl", watch) as journal:
        journal.append(_started(folder.name, planned))
        with _synced(SyncProcess(folder, request.home, request.tracking_uri)) as sync, _ended(journal):
            for event in checked:
                journal.append(event)
            with local_ray(planned.slots) as stop:
                run_trials(planned.plan, setup, folder, planned.slots, journal, stop)
                require_unchanged(planned.data, folder, request.home.test_ledger)
                state = _replay(folder)
                finalists = choose_finalists(state)
                if not finalists:
                    raise NoUsableTrial(_why_no_trial(state))
                evaluate_finalists(finalists, setup, test, folder / "finalists", planned.slots, journal, stop)
                journal.append(WinnerChosen(trial=finalists[0].number))  # sync registers it while folds are trained
                if planned.plan.data.folds > 1:
                    train_folds(finalists, planned.plan.data.folds, setup, planned.slots, journal, stop)
            try:
                sync.wait_until(lambda outcome: outcome.registered is not None)
            finally:  # an interruption here does not undo what sync has registered
                journal.append(_tracked(read_outcome(folder)))
    _remove_losers(folder)
    return SweepResult(folder, _replay(folder), time.monotonic() - began_s)


@contextmanager
def _synced(sync: SyncProcess) -> Iterator[SyncProcess]:
    """Let sync send the journal to its end, however the sweep ended."""
    try:
        yield sync
    finally:
        sync.close()


@contextmanager
def _ended(journal: JournalWriter) -> Iterator[None]:
    """Write the journal's last line: how the sweep ended, and why."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        journal.append(SweepEnded(state="interrupted", reason="interrupted by the user"))
        raise
    except SystemExit as error:  # while Ray starts, SIGTERM reaches Ray's own handler
        journal.append(SweepEnded(state="interrupted", reason="interrupted by the user"))
        raise Interrupted("interrupted while Ray was starting") from error
    except OrchestratorError as error:
        journal.append(SweepEnded(state="failed", reason=str(error)))
        raise
    except BaseException as error:
        journal.append(SweepEnded(state="failed", reason=f"{type(error).__name__}: {error}"))
        raise
    journal.append(SweepEnded(state="completed"))


def _write_inputs(folder: Path, planned: PlannedSweep, home: Home) -> "tuple[Path, TestData]":
    """Write what actors read; the test images are named only in what finalists are given."""
    from orchestrator.tuning.test_data import TestData
    from orchestrator.tuning.trial_setup import TrialSetup
    from trainables.data.split_rows import digest_rows, write_rows

    plan, data = planned.plan, planned.data
    write_rows(folder / "development.csv", data.development.rows)
    setup = TrialSetup(
        task=plan.task,
        development=folder / "development.csv",
        development_digest=digest_rows(data.development.rows),
        arrays=data.development.arrays,
        pretrained=plan.weights == "pretrained",
        epochs=plan.budget.epochs,
        metric=plan.metric,
        device=planned.slots.device,
        threads=planned.slots.threads,
        trials=folder / "trials",
    )
    write_unreadable(folder, data)
    (folder / "trial_setup.json").write_text(setup.model_dump_json(indent=2))
    test = TestData.write(folder / "test.csv", data, home.test_ledger, folder.name)
    return folder / "trial_setup.json", test


def _write_data_report(folder: Path, planned: PlannedSweep) -> None:
    """Show the data as the sweep's first architecture gets them."""
    plan = planned.plan
    architecture, space = next(iter(plan.architectures.items()))
    write_data_report(folder, TASKS[plan.task], planned.data, architecture, space, plan.seed)


def _started(sweep_id: str, planned: PlannedSweep) -> SweepStarted:
    return SweepStarted(
        sweep_id=sweep_id,
        plan=planned.plan,
        plan_digest=planned.plan.digest,
        slots=planned.slots.count,
        device=planned.slots.device,
        versions=versions(),
        git=git_state(),
    )


def _check_architectures(planned: PlannedSweep) -> list[ArchitectureChecked]:
    plan, device = planned.plan, planned.slots.device
    pretrained = plan.weights == "pretrained"
    return [
        check_architecture(name, space, plan.classes, pretrained, planned.data.development, device)
        for name, space in plan.architectures.items()
    ]


def _replay(folder: Path) -> SweepState:
    return replay(read_events(folder / "journal.jsonl")[0])


def _tracked(outcome: SyncOutcome) -> SweepTracked:
    return SweepTracked(
        tracking_uri=outcome.tracking_uri,
        run_id=outcome.run_id,
        trial_run_ids=outcome.trial_run_ids,
        registered=outcome.registered,
        fault=outcome.error or ("" if outcome.registered else "sync ended before it registered the winner"),
    )


def _why_no_trial(state: SweepState) -> str:
    reasons = [f"trial {trial.number}: {trial.reason}" for trial in state.trials.values() if trial.reason]
    return f"no trial of {len(state.trials)} can be evaluated; " + "; ".join(reasons[:3])


def _remove_losers(folder: Path) -> None:
    """Remove the weights of trials that are no finalists, and Ray's own folder."""
    finalists = {path.name for path in (folder / "finalists").glob("*")}
    for weights in (folder / "trials").glob(f"*/{BEST_WEIGHTS}"):
        if weights.parent.name not in finalists:
            weights.unlink()
    shutil.rmtree(folder / "ray", ignore_errors=True)
