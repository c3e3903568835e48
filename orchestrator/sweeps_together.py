"""Sweeps of several tasks one after another: all are planned and checked before the first begins."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.chosen_architectures import Choice
from orchestrator.errors import BadInput, DiskFull, Interrupted, NoUsableTrial
from orchestrator.open_sweep import SweepWatch
from orchestrator.overrides import has_setting, require_setting
from orchestrator.plan import SweepPlan
from orchestrator.sweep import PreparedSweep, prepare, start
from orchestrator.sweep_lock import STOP_REQUEST
from orchestrator.sweep_request import SweepRequest, name_in_ids
from orchestrator.sweep_result import SweepResult
from trainables.catalog import SHIPPED_TASKS, TASKS, Task

if TYPE_CHECKING:
    from trainables.data.decoding import Progress

LEAST_TIME_S = 1.0  # what a time budget that is spent leaves to each sweep: its first trials train an epoch


@dataclass(frozen=True)
class SweepsDone:
    """What came of each sweep: its result, or by the sweep's name why it has no winner."""

    results: Sequence[SweepResult]
    without_winner: Mapping[str, str]


def requests_of_each(asked: Sequence[SweepRequest]) -> tuple[list[SweepRequest], list[str]]:
    """Return requests, alike but for their sweep, each with those of the named architectures and settings that it has.

    Their time budget is no longer theirs, but `run_all`'s. One that has none of the architectures is left out, and with
    a sentence each own task whose images are nowhere. Raises BadInput for a name or a setting that none has, for one
    folder of images for several tasks, for ids that cannot be, and where nothing is left.
    """
    request, preset = asked[0], asked[0].preset or "quick"
    files = [one.asked.load(preset) for one in asked]
    known = list(dict.fromkeys(name for file in files for name in file.architectures))
    Choice(request.architectures, request.exclude).of(known, "these sweeps")
    for key in request.overrides:
        require_setting(key, known)
    tasks = sorted({file.task for file in files})
    if request.data not in (None, "phantom") and len(tasks) > 1:
        raise BadInput(
            f"--data {request.data}: one folder for the tasks {', '.join(tasks)}; put each set into "
            "$ORCHESTRATE_DATA/<task>"
        )
    chosen, notes = [], []
    for one, file in zip(asked, files, strict=True):
        own = _own(one, list(file.architectures))
        if own is not None and not _has_images(TASKS[file.task], request):
            notes.append(f"{one.name}: left out, its images are nowhere; its task file says where by a line data: DIR")
        elif own is not None:
            chosen.append(own)
    if not chosen:
        raise BadInput(f"none of these sweeps can be trained: {'; '.join(notes)}")
    return chosen, notes


def _own(request: SweepRequest, known: list[str]) -> SweepRequest | None:
    """Return the request with what its sweep has of what is named for all, None where nothing is left to train."""
    only, without = ([name for name in names if name in known] for names in (request.architectures, request.exclude))
    chosen = [name for name in (only if request.architectures else known) if name not in without]
    if not chosen:
        return None
    settings = {key: text for key, text in request.overrides.items() if has_setting(key, chosen)}
    sweep_id = None if request.sweep_id is None else f"{request.sweep_id}-{name_in_ids(request.name)}"
    if sweep_id is not None:
        request.home.check_new_sweep(sweep_id)
    return replace(
        request,
        architectures=tuple(only),
        exclude=tuple(without),
        overrides=settings,
        sweep_id=sweep_id,
        time_budget_s=None,
    )


def _has_images(task: Task, request: SweepRequest) -> bool:
    """Tell whether a task of several has images somewhere; each of the project's own has its phantom."""
    if task.name in SHIPPED_TASKS:
        return True
    root = request.data_root
    return request.data is None and bool(task.data or (root is not None and (root / task.name).is_dir()))


def prepare_all(requests: Sequence[SweepRequest], progress: "Progress") -> list[PreparedSweep]:
    """Plan and check every sweep. Raises BadInput that names the sweep, before anything is trained."""
    prepared = []
    for request in requests:
        try:
            prepared.append(prepare(request, progress))
        except BadInput as error:
            raise BadInput(f"sweep {request.name}: {error}") from error
    return prepared


def run_all(
    prepared: Sequence[PreparedSweep],
    time_budget_s: float | None,
    watching: Callable[[SweepPlan], AbstractContextManager[SweepWatch]],
) -> SweepsDone:
    """Run prepared sweeps in their order; one without a usable trial does not keep the next from running.

    Of `time_budget_s` in all each gets, of what is left when it begins, as large a part as its forecast is of theirs.
    Raises Interrupted and DiskFull as `run_sweep`: those that have not begun are not run.
    """
    ends_at_s = None if time_budget_s is None else time.monotonic() + time_budget_s
    results: list[SweepResult] = []
    without_winner: dict[str, str] = {}
    for place, one in enumerate(prepared):
        if ends_at_s is not None:
            part = one.forecast.usual_s / sum(later.forecast.usual_s for later in prepared[place:])
            one = _within(one, max(LEAST_TIME_S, part * (ends_at_s - time.monotonic())))
        plan = one.planned.plan
        try:
            with watching(plan) as watch:
                results.append(start(one, watch))
            if (results[-1].folder / STOP_REQUEST).exists():  # too late for that one, not for the next
                raise Interrupted("interrupted by the user")
        except (NoUsableTrial, BadInput) as error:  # data that were changed meanwhile end only their own sweep
            without_winner[plan.sweep] = str(error)
        except (Interrupted, DiskFull) as error:
            later = [other.planned.plan.sweep for other in prepared[place + 1 :]]
            raise type(error)(f"{error}; not begun: {', '.join(later)}" if later else str(error)) from error
    return SweepsDone(results, without_winner)


def _within(prepared: PreparedSweep, time_s: float) -> PreparedSweep:
    plan = prepared.planned.plan
    budget = plan.budget.model_copy(update={"time_s": time_s})
    planned = replace(prepared.planned, plan=plan.model_copy(update={"budget": budget}))
    return replace(prepared, planned=planned, request=replace(prepared.request, time_budget_s=time_s))
