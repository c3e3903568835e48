"""The main job on one page: data -> plan -> preflight -> trials -> finalists -> winner, each step in the journal."""

import errno
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cache_upkeep import collect_garbage, held
from orchestrator.cluster_sweep import let_go_where_it_fails, nodes_in_words, ready_cluster
from orchestrator.errors import DiskFull, Interrupted, NoUsableTrial, OrchestratorError
from orchestrator.forecast import Forecast, forecast
from orchestrator.inspecting.data import require_unchanged, write_data_report, write_unreadable
from orchestrator.inspecting.machine import git_diff, git_state, hardware, versions
from orchestrator.journal import ArchitectureChecked, SweepEnded, SweepStarted, WinnerChosen
from orchestrator.late_registration import note_registration
from orchestrator.open_sweep import OpenSweep, SweepWatch, opened
from orchestrator.own_tasks import keep_task
from orchestrator.preflight import check_architectures, with_packed_slots
from orchestrator.ranking import choose_finalists, choose_winner
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.stored_sweep import begin_storing, check_storage, sending
from orchestrator.sweep_folder import CODE
from orchestrator.sweep_planning import PlannedSweep, plan_sweep
from orchestrator.sweep_report import report_what_there_is, write_report_or_none
from orchestrator.sweep_request import SweepRequest, keep_request
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.outcome import outcome_file, read_outcome
from orchestrator.tracking.process import SyncProcess
from orchestrator.warm_start import warm_sentence
from trainables.catalog import TASKS
from trainables.explain.settings import explanation_settings

if TYPE_CHECKING:
    from orchestrator.tuning.stopping import Stopping
    from orchestrator.tuning.test_data import TestData
    from trainables.data.decoding import Progress

SEND_AFTER_INTERRUPTION_S = 6.0  # then sync goes on alone
END_WITHIN_S = 10.0  # of the request, whatever trials and report took; on a busy machine Python takes 7 s to go
SEND_REPORT_S = 30.0  # that names a version which came late; then sync goes on alone
LAST_OF_DATA_REPORT = "preprocessing.png"
MOST_DIFF_CHARACTERS = 1_000_000
KEEP_STATE_S = 30.0  # of training that a crash may cost a trial whose epochs are shorter


def run_sweep(request: SweepRequest, progress: "Progress", watch: SweepWatch) -> SweepResult:
    """Run a sweep to its registered winner. `progress` hears of data, `watch` of every journal event.

    Raises BadInput before anything is trained, NoUsableTrial when nothing can be evaluated, Interrupted when the user
    ended it or Ray was lost, DiskFull: the journal holds all that was done, and the sweep can be resumed.
    """
    began_s = time.monotonic()
    result = start(prepare(request, progress), watch)
    return replace(result, wall_s=time.monotonic() - began_s)


@dataclass(frozen=True)
class PreparedSweep:
    """A planned sweep whose architectures took a few steps; nothing of it is written yet."""

    request: SweepRequest
    planned: PlannedSweep
    checked: list[ArchitectureChecked]

    @property
    def forecast(self) -> Forecast:
        """Return what its trials will take."""
        by_name = {event.architecture: event for event in self.checked}
        plan, slots = self.planned.plan, self.planned.slots
        return forecast(plan, by_name, {name: slots.at_once(name) for name in plan.architectures}, slots.gpus)


def prepare(request: SweepRequest, progress: "Progress") -> PreparedSweep:
    """Plan a sweep and let its architectures take a few steps. Raises BadInput before anything is trained."""
    check_storage(request)
    collect_garbage(request.home.cache, request.max_cache_bytes)
    with let_go_where_it_fails(request.address):
        planned = plan_sweep(request, progress)
        if request.task_text:
            keep_task(request.home, planned.plan.task, request.task_text)
        if planned.nodes:
            planned = ready_cluster(planned, request, request.store or request.storage or request.home.sweeps)
        checked = check_architectures(planned)
        return PreparedSweep(request, with_packed_slots(planned, request, checked), checked)


def start(prepared: PreparedSweep, watch: SweepWatch) -> SweepResult:
    """Run a prepared sweep to its registered winner. Raises as `run_sweep`."""
    began_s = time.monotonic()
    request, planned = prepared.request, prepared.planned
    folder = request.home.new_sweep(planned.plan.sweep, request.sweep_id, request.storage)
    plan = planned.plan
    asked = replace(request, preset=plan.preset, weights=plan.weights, warm_points=plan.warm_points)
    keep_request(folder, asked, planned.images)
    with opened(folder, watch) as sweep:
        sweep.append(_started(folder.name, planned))
        if request.warm_start:
            sweep.tell(warm_sentence(plan.warm_points))
        with sending(sweep, begin_storing(folder, request.store)), told_if_broken_off(sweep):
            for event in prepared.checked:
                sweep.append(event)
            if planned.nodes:
                sweep.tell(f"cluster {request.address}: {nodes_in_words(planned)}")
            sweep.tell(prepared.forecast.sentence)
            write_code_state(folder / CODE)
            write_data_report_once(folder / "data", planned)
            carry_out(sweep, planned, request)
        return SweepResult(folder, sweep.state, time.monotonic() - began_s)


def carry_out(sweep: OpenSweep, planned: PlannedSweep, request: SweepRequest) -> None:
    """Do what the journal says is still to be done, from the first trial to the registered winner."""
    from orchestrator.tuning.runner import evaluate_finalists, run_trials, train_again
    from orchestrator.tuning.stopping import Stopping
    from orchestrator.tuning.trial_files import TrialFiles

    plan, folder = planned.plan, sweep.folder
    setup, test = _write_inputs(sweep, planned, request)
    stopping = Stopping(plan.budget.time_s, sweep.state.spent_s)
    files = TrialFiles(folder / "trials", sweep.state, request.max_disk_bytes, sweep.stored)
    arrays = [*planned.data.development.arrays.values(), *planned.data.test.arrays.values()]
    sending = SyncProcess(folder, request.home, request.tracking_uri, sweep.tell)
    with (
        held(arrays),
        _synced(sending, sweep.stop_request, stopping) as sync,
        told_if_broken_off(sweep),
    ):
        with _ray(planned, request.address, stopping, sweep):
            run_trials(sweep, setup, planned.slots, stopping, files)
            require_unchanged(planned.data, folder, request.home.test_ledger)
            finalists = choose_finalists(sweep.state)
            if not finalists:
                raise NoUsableTrial(_why_no_trial(sweep.state))
            new = evaluate_finalists(finalists, setup, test, folder / "finalists", planned.slots, sweep, stopping)
            if plan.seeds > 1:
                train_again(finalists, "seed", plan.seeds, setup, planned.slots, sweep, stopping)
            winner = choose_winner(sweep.state, finalists)
            if sweep.state.winner != winner.number or winner in new:
                sweep.append(WinnerChosen(trial=winner.number))  # registered while folds are trained
            if plan.data.folds > 1:
                train_again(finalists, "fold", plan.data.folds, setup, planned.slots, sweep, stopping)
        _await_registration(sync, sweep, request)
        ended = SweepEnded(state="completed")
        write_report_or_none(folder, replay([*sweep.past, ended]))
        sweep.append(ended)  # sync sends the report when it reads this
    _note_late_registration(sweep, request)
    shutil.rmtree(folder / "ray", ignore_errors=True)


def _await_registration(sync: SyncProcess, sweep: OpenSweep, request: SweepRequest) -> None:
    """Write what sync made of the sweep. Raises Interrupted where the user asked for the end before it was done."""
    try:
        sync.wait_until(lambda outcome: outcome.has_registered(sweep.state))
    finally:  # an interruption here does not undo what sync has registered
        told = read_outcome(outcome_file(sweep.folder, request.home, request.tracking_uri)).told(sweep.state)
        sweep.append(told)
    if told.registered is None and sweep.stop_request.exists():
        raise Interrupted("interrupted by the user")


def _note_late_registration(sweep: OpenSweep, request: SweepRequest) -> None:
    """Set right what the journal says where sync registered the winner after it was last asked; MLflow hears of it."""
    with suppress(DiskFull, KeyboardInterrupt):  # the sweep is over: `orchestrate sync` does the same later
        if note_registration(sweep, read_outcome(outcome_file(sweep.folder, request.home, request.tracking_uri))):
            SyncProcess(sweep.folder, request.home, request.tracking_uri, sweep.tell).close(SEND_REPORT_S)


def _ray(planned: PlannedSweep, address: str, stopping: "Stopping", sweep: OpenSweep) -> "AbstractContextManager[None]":
    """Return the Ray that trials run on: one of our own, or a cluster's."""
    from orchestrator.tuning.cluster import attached_ray
    from orchestrator.tuning.local_ray import local_ray

    def last_words(reason: str) -> None:
        _last_words(sweep, reason)

    if not planned.nodes:
        return local_ray(planned.slots, stopping, sweep.stop_request, last_words)
    left = planned.plan.budget.trials - sum(trial.has_ended for trial in sweep.state.trials.values())
    return attached_ray(address, planned.slots, left, stopping, sweep.stop_request, last_words)


@contextmanager
def _synced(sync: SyncProcess, stop_request: Path, stopping: "Stopping") -> Iterator[SyncProcess]:
    """Let sync send the journal to its end, however the sweep ended."""
    try:
        yield sync
    except (Interrupted, DiskFull, KeyboardInterrupt):
        left_s = max(0.0, END_WITHIN_S - stopping.requested_for_s)
        sync.close(within_s=min(SEND_AFTER_INTERRUPTION_S, left_s))
        raise
    except BaseException:
        sync.close()
        raise
    try:
        sync.close()
    except KeyboardInterrupt:  # the sweep is over, and sync goes on alone; of several no other begins
        stop_request.touch()


@contextmanager
def told_if_broken_off(sweep: OpenSweep) -> Iterator[None]:
    """Write the journal's last line where the sweep does not come to its end: how, and why; once."""
    try:
        yield
    except BaseException as error:
        if sweep.state.ended is None:
            with suppress(DiskFull):  # the line fits into the reserve, or is not needed
                sweep.append(_end_by(error))
            if sweep.state.ended is not None:
                report_what_there_is(sweep)
        if isinstance(error, SystemExit):  # while Ray starts, SIGTERM reaches Ray's own handler
            raise Interrupted("interrupted while Ray was starting") from error
        raise


def _end_by(error: BaseException) -> SweepEnded:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return SweepEnded(state="interrupted", reason="interrupted by the user")
    if isinstance(error, Interrupted | DiskFull):
        return SweepEnded(state="interrupted", reason=str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SweepEnded(state="interrupted", reason="the disk is full")
    reason = str(error) if isinstance(error, OrchestratorError) else f"{type(error).__name__}: {error}"
    return SweepEnded(state="failed", reason=reason)


def _last_words(sweep: OpenSweep, reason: str) -> None:
    """Write how the sweep ended where the process has to go without coming back from Ray."""
    with suppress(OrchestratorError, OSError):
        sweep.append(SweepEnded(state="interrupted", reason=reason))
        sweep.close()


def _write_inputs(sweep: OpenSweep, planned: PlannedSweep, request: SweepRequest) -> "tuple[Path, TestData]":
    """Write what actors read; the test images are named only in what finalists are given."""
    from orchestrator.tuning.code_digest import code_digest
    from orchestrator.tuning.test_data import TestData
    from orchestrator.tuning.trial_setup import TrialSetup, own_task
    from trainables.data.split_rows import digest_rows, write_rows

    plan, data, folder = planned.plan, planned.data, sweep.folder
    write_rows(folder / "development.csv", data.development.rows)
    setup = TrialSetup(
        task=plan.task,
        own_task=own_task(plan.task),
        development=folder / "development.csv",
        development_digest=digest_rows(data.development.rows),
        arrays=data.development.arrays,
        code_digest=code_digest() if planned.nodes else "",
        array_digests=data.development.array_digests if planned.nodes else {},
        pretrained=plan.weights == "pretrained",
        epochs=plan.budget.epochs,
        metric=plan.metric,
        device=planned.slots.device,
        threads=planned.slots.threads,
        trials=folder / "trials",
        keep_state_s=KEEP_STATE_S,
        state_wanted=sweep.stop_request,
        keep_every_epochs=plan.budget.checkpoint_every_epochs,
        epoch_timeout_s=plan.budget.epoch_timeout_s,
        forecast_epoch_s={name: event.epoch_s for name, event in sweep.state.checked.items()},
        witness=request.witness,
        store=sweep.stored.store.uri if sweep.stored else "",
        token=secrets.token_hex(8),
    )
    write_unreadable(folder, data)
    setup.file.write_text(setup.model_dump_json(indent=2))
    explaining = explanation_settings(plan.preset == "quick", child_seed(plan.seed, SeedPath.EXPLANATION))
    ledger, is_shipped = request.home.test_ledger, bool(planned.nodes)
    test = TestData.write(folder / "test.csv", data, ledger, folder.name, explaining, is_shipped)
    if sweep.stored:
        sweep.stored.put_inputs([setup.development, test.rows, setup.file])
    return setup.file, test


def write_data_report_once(folder: Path, planned: PlannedSweep) -> None:
    """Show the data as the sweep's first architecture gets them, where that was not done to its end before."""
    if (folder / LAST_OF_DATA_REPORT).is_file():
        return
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
        hardware=hardware() | ({"nodes": nodes_in_words(planned)} if planned.nodes else {}),
    )


def write_code_state(path: Path) -> None:
    """Write how the code differs from its commit; no file where it does not."""
    difference = git_diff()
    if difference:
        path.write_text(difference[:MOST_DIFF_CHARACTERS] + "\n", encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _why_no_trial(state: SweepState) -> str:
    reasons = [f"trial {trial.number}: {trial.reason}" for trial in state.trials.values() if trial.reason]
    return f"no trial of {len(state.trials)} can be evaluated; " + "; ".join(reasons[:3])
