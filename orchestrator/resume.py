"""A sweep goes on: the journal says what was done, the plan is made again and must be the same but for its budget."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.cluster_sweep import let_go_where_it_fails, ready_cluster
from orchestrator.errors import BadInput
from orchestrator.inspecting.machine import git_state, versions
from orchestrator.journal import SweepResumed
from orchestrator.more_epochs import trials_with_more_epochs, why_it_stays
from orchestrator.open_sweep import OpenSweep, SweepWatch, opened, require_original
from orchestrator.plan import SweepPlan
from orchestrator.preflight import check_architectures, with_packed_slots
from orchestrator.stored_sweep import go_on_storing, require_no_limit, sending
from orchestrator.sweep import (
    carry_out,
    told_if_broken_off,
    write_code_state,
    write_data_report_once,
)
from orchestrator.sweep_folder import CODE, CODE_RESUMED
from orchestrator.sweep_planning import PlannedSweep, plan_sweep
from orchestrator.sweep_request import SweepRequest, keep_request, kept_request
from orchestrator.sweep_result import SweepResult
from orchestrator.sweep_state import SweepState
from orchestrator.tracking.outcome import outcome_files, read_outcome, write_outcome

if TYPE_CHECKING:
    from trainables.data.decoding import Progress

MOST_DIFFERENCES = 5


@dataclass(frozen=True, kw_only=True)
class ResumeRequest:
    """Which sweep goes on, and what of its budget is raised; `machine` holds the settings of this machine."""

    sweep_id: str
    machine: SweepRequest
    address: str | None = None  # of another cluster than before, or local
    trials: int | None = None
    epochs: int | None = None
    max_disk_bytes: int | None = None
    time_budget_s: float | None = None


def resume_sweep(request: ResumeRequest, progress: "Progress", watch: SweepWatch) -> SweepResult:
    """Go on with a sweep that was interrupted, or with a finished one whose budget is raised.

    Raises BadInput where another process runs it, where data, split or sweep file are no longer those of its plan, and
    for a budget that is no raise; else as run_sweep. A sweep that has nothing left to do is returned as it is.
    """
    began_s = time.monotonic()
    folder = request.machine.home.sweep_folder(request.sweep_id)
    stored = go_on_storing(folder)
    with opened(folder, watch) as sweep:
        if not sweep.past:
            raise BadInput(f"{folder.name}: nothing was started before it ended; run the sweep again")
        require_original(folder, sweep.state, "resume")
        asked = _raised(sweep, request, kept_request(folder, request.machine))
        if stored is not None:
            asked = replace(asked, store=stored.store)
            require_no_limit(asked)
        state = sweep.state
        if _is_done(sweep, asked):
            return SweepResult(folder, state, time.monotonic() - began_s)
        with let_go_where_it_fails(asked.address):
            planned = plan_sweep(asked, progress)
            require_same_plan(folder.name, state.plan, planned.plan)
            require_same_device(folder.name, state, planned)
            if planned.nodes:
                planned = ready_cluster(planned, asked, asked.store or folder.parent)
            checked = check_architectures(planned, known=state)
            planned = with_packed_slots(planned, asked, [*state.checked.values(), *checked])
        _forget_what_was_lost(sweep)
        keep_request(folder, asked, planned.images)
        sweep.append(_resumed(planned, state))
        with sending(sweep, stored), told_if_broken_off(sweep):
            for event in checked:
                sweep.append(event)
            write_what_is_shown(sweep, planned)
            carry_out(sweep, planned, asked)
        return SweepResult(folder, sweep.state, time.monotonic() - began_s)


def trials_that_stay(sweep: SweepResult) -> dict[int, str]:
    """Return the finalists that do not train to a raised number of epochs, and why."""
    state = sweep.state
    epochs = state.plan.budget.epochs
    reasons = {number: why_it_stays(state.trials[number], epochs) for number in state.finalists}
    return {n: why for n, why in reasons.items() if why and state.trials[n].last_epoch < epochs}


def _raised(sweep: OpenSweep, request: ResumeRequest, kept: SweepRequest) -> SweepRequest:
    """Return the request with the budget as it is to be now."""
    budget = sweep.state.plan.budget
    for name, value, now in (("trials", request.trials, budget.trials), ("epochs", request.epochs, budget.epochs)):
        if value is not None and value < now:
            raise BadInput(f"--{name} {value}: the sweep has {now}; a budget can only be raised")
    if request.epochs not in (None, budget.epochs) and not sweep.state.has_completed:
        raise BadInput(
            f"--epochs {request.epochs}: the sweep has not ended; resume it to its end first: "
            f"orchestrate resume {request.sweep_id}"
        )
    time_s = request.time_budget_s or budget.time_s
    asks_for_more = request.trials not in (None, budget.trials) or request.epochs not in (None, budget.epochs)
    if asks_for_more and time_s is not None and sweep.state.spent_s >= time_s:
        raise BadInput(
            f"--time-budget: the {time_s / 60:g} minutes that the sweep may take are spent; give it more in all, "
            f"e.g. --time-budget {sweep.state.spent_s / 30 + 1:.0f}m"
        )
    return replace(
        kept,
        time_budget_s=time_s,
        trials=request.trials or budget.trials,
        epochs=request.epochs or budget.epochs,
        max_disk_bytes=request.max_disk_bytes or kept.max_disk_bytes,
        address=request.address or kept.address,
    )


def _is_done(sweep: OpenSweep, asked: SweepRequest) -> bool:
    state = sweep.state
    registered = state.tracked is not None and state.tracked.registered is not None
    return (
        state.has_completed
        and registered
        and (asked.trials, asked.epochs, asked.time_budget_s)
        == (state.plan.budget.trials, state.plan.budget.epochs, state.plan.budget.time_s)
    )


def require_same_plan(sweep_id: str, before: SweepPlan, now: SweepPlan) -> None:
    """Raise BadInput with what differs between two plans, budget aside."""
    left_out: Any = {"data": {"notes"}, "budget": {"trials", "epochs", "time_s"}, "published": True}
    left_out["published_scores"] = True  # what others found
    differences = _differences(
        before.model_dump(mode="json", exclude=left_out), now.model_dump(mode="json", exclude=left_out)
    )
    if differences:
        shown = "; ".join(differences[:MOST_DIFFERENCES])
        more = f" and {len(differences) - MOST_DIFFERENCES} more" if len(differences) > MOST_DIFFERENCES else ""
        raise BadInput(
            f"{sweep_id}: data or sweep file changed since it was started: {shown}{more}. Put them back to resume it, "
            "or start a new sweep"
        )


def require_same_device(sweep_id: str, state: SweepState, planned: PlannedSweep) -> None:
    """Raise BadInput on a machine whose numbers are others: kept states and best weights would no longer fit."""
    before, now = (state.resumed or state.started).device, planned.slots.device
    if before != now:
        raise BadInput(
            f"{sweep_id}: was trained on {before}, here it would be {now}, whose numbers differ; resume it "
            f"on a machine with {before}, or start a new sweep"
        )


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [
            line
            for key in keys
            for line in _differences(before.get(key), now.get(key), f"{where}.{key}" if where else str(key))
        ]
    return [] if before == now else [f"{where} was {before}, is {now}"]


def _forget_what_was_lost(sweep: OpenSweep) -> None:
    """Let sync count no lines that a crash of the machine took from the journal after they were sent."""
    for path in outcome_files(sweep.folder):
        outcome = read_outcome(path)
        if outcome.events_sent > len(sweep.past):
            outcome.events_sent = len(sweep.past)
            write_outcome(path, outcome)


def write_what_is_shown(sweep: OpenSweep, planned: PlannedSweep) -> None:
    """Write the state of the code now, and what an interruption at the sweep's beginning kept from being written."""
    state, folder = sweep.state, sweep.folder
    assert state.resumed is not None
    is_code_of_start = state.resumed.git == state.started.git and not (folder / CODE).exists()
    write_code_state(folder / (CODE if is_code_of_start else CODE_RESUMED))
    write_data_report_once(folder / "data", planned)


def _resumed(planned: PlannedSweep, state: SweepState) -> SweepResumed:
    raised = planned.plan.budget.epochs > state.plan.budget.epochs
    return SweepResumed(
        extended=trials_with_more_epochs(state, planned.plan.budget.epochs) if raised else [],
        plan=planned.plan,
        plan_digest=planned.plan.digest,
        slots=planned.slots.count,
        device=planned.slots.device,
        versions=versions(),
        git=git_state(),
    )
