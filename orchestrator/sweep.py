"""The main job on one page: data -> plan -> preflight -> trials -> finalists -> winner, each step in the journal."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import inspecting
from orchestrator.errors import BadInput, Interrupted, NoUsableTrial, OrchestratorError, unknown_name
from orchestrator.home import Home
from orchestrator.journal import (
    ArchitectureChecked,
    JournalWriter,
    SweepEnded,
    SweepStarted,
    SweepState,
    SweepTracked,
    Watch,
    WinnerChosen,
    read_events,
    replay,
)
from orchestrator.leaderboard import choose_finalists, with_interval
from orchestrator.plan import DataKind, DataSummary, SweepPlan
from orchestrator.seeds import SeedPath, child_seed
from orchestrator.sweep_file import Preset, SweepFile, find_sweep_file, load_sweep_file
from orchestrator.tracking.outcome import SyncOutcome
from orchestrator.tracking.process import SyncProcess
from trainables.catalog import TASKS, Weights
from trainables.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from orchestrator.tuning.finalists import TestData
    from orchestrator.tuning.resources import Slots
    from trainables.data.prepare import PreparedData

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class SweepRequest:
    """What the user asked for; None means that the sweep file or the machine decides."""

    name: str
    home: Home
    data: str | None = None
    data_root: Path | None = None
    tracking_uri: str | None = None
    preset: Preset | None = None
    architectures: tuple[str, ...] = ()
    trials: int | None = None
    epochs: int | None = None
    finalists: int | None = None
    seed: int = 0
    slots: int | None = None
    metric: str | None = None
    weights: Weights | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedSweep:
    """A frozen plan and what it was made from; nothing has been started."""

    plan: SweepPlan
    data: "PreparedData"
    slots: "Slots"


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep: its folder and its journal, replayed."""

    folder: Path
    state: SweepState
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the keys that the command line's contract names."""
        state, plan = self.state, self.state.plan
        states = [trial.state for trial in state.trials.values()]
        return {
            "sweep_id": state.started.sweep_id,
            "task": plan.task,
            "data_kind": plan.data.kind,
            "trials": len(states),
            "states": {name: states.count(name) for name in ("completed", "pruned", "failed")},
            "winner": _winner_json(state),
            "registered": state.tracked.registered.model_dump() if state.tracked and state.tracked.registered else None,
            "journal": str(self.folder / "journal.jsonl"),
            "report": None,
            "tracking_uri": state.tracked.tracking_uri if state.tracked else None,
            "wall_s": round(self.wall_s, 3),
            "epoch_compute_s": round(sum(trial.compute_s for trial in state.trials.values()), 3),
            "slots": state.started.slots,
        }


def plan_sweep(request: SweepRequest, progress: Progress) -> PlannedSweep:
    """Read the sweep file, then the data, and freeze the plan. Raises BadInput before anything is started."""
    path = find_sweep_file(request.name)
    load_sweep_file(path, "quick", request.overrides)  # every fault of the file before torch is imported
    if request.metric is not None and request.metric not in METRICS:
        raise BadInput(f"--metric: {unknown_name('metric', request.metric, METRICS)}")
    from orchestrator.tuning.resources import find_slots

    find_slots(request.slots, 0)
    gpus = inspecting.count_gpus()
    file = _resolve(load_sweep_file(path, request.preset or ("full" if gpus else "quick"), request.overrides), request)
    task = TASKS[file.task]
    source = inspecting.find_data(task, request.data, request.data_root, request.home)
    random = file.preset == "quick" or source.kind == "phantom"
    weights: Weights = request.weights or ("random" if random else "pretrained")
    seed = child_seed(request.seed, SeedPath.SPLIT)
    sides_px = inspecting.image_sides(file.architectures)
    data = inspecting.prepare_data(task, source, sides_px, request.home.cache, seed, progress)
    inspecting.check_weights(file.architectures, weights == "pretrained")
    metric = request.metric or task.primary_metric
    plan = SweepPlan(
        sweep=file.name,
        task=file.task,
        classes=task.classes,
        data=_summary(data, source.kind, task.classes),
        preset=file.preset,
        weights=weights,
        seed=request.seed,
        metric=metric,
        direction=METRICS[metric],
        architectures=file.architectures,
        published=file.published,
        budget=file.budget,
        search=file.search,
        scheduler=file.scheduler,
    )
    return PlannedSweep(plan, data, find_slots(request.slots, gpus))


def run_sweep(request: SweepRequest, progress: Progress, watch: Watch) -> SweepResult:
    """Run a sweep to its registered winner. `progress` hears of data, `watch` of every journal event.

    Raises BadInput before anything is trained, NoUsableTrial when nothing can be evaluated, Interrupted when the user
    ended it: the journal holds all that was done.
    """
    planned = plan_sweep(request, progress)
    from orchestrator.tuning.runner import evaluate_finalists, local_ray, run_trials

    began_s = time.monotonic()
    folder = request.home.new_sweep(planned.plan.sweep)
    setup, test = _write_inputs(folder, planned)
    with JournalWriter(folder / "journal.jsonl", watch) as journal:
        journal.append(_started(folder.name, planned))
        sync = SyncProcess(folder, request.home, request.tracking_uri)
        try:
            _check_architectures(planned, setup, journal)
            with local_ray(planned.slots) as stop:
                run_trials(planned.plan, setup, folder, planned.slots, journal, stop)
                finalists = choose_finalists(_replay(folder))
                if not finalists:
                    raise NoUsableTrial(_why_no_trial(_replay(folder)))
                evaluate_finalists(finalists, setup, test, folder / "finalists", planned.slots, journal, stop)
            journal.append(WinnerChosen(trial=finalists[0].number))
            outcome = sync.wait_until(lambda outcome: outcome.registered is not None)
            journal.append(_tracked(outcome))
        except (OrchestratorError, KeyboardInterrupt) as error:
            interrupted = isinstance(error, Interrupted | KeyboardInterrupt)
            reason = str(error) or "interrupted by the user"
            journal.append(SweepEnded(state="interrupted" if interrupted else "failed", reason=reason))
            raise
        except BaseException as error:
            journal.append(SweepEnded(state="failed", reason=f"{type(error).__name__}: {error}"))
            raise
        else:
            journal.append(SweepEnded(state="completed"))
        finally:
            sync.close()
            _remove_losers(folder)
    return SweepResult(folder, _replay(folder), time.monotonic() - began_s)


def _resolve(file: SweepFile, request: SweepRequest) -> SweepFile:
    """Lay the command line's budget and choice of architectures over the file."""
    for name in request.architectures:
        if name not in file.architectures:
            raise BadInput(f"--architectures: {unknown_name('architecture of this sweep', name, file.architectures)}")
    given = {"trials": request.trials, "epochs": request.epochs, "finalists": request.finalists}
    for name, value in given.items():
        if value is not None and value < 1:
            raise BadInput(f"--{name} {value}: expected a whole number of at least 1")
    chosen = request.architectures or tuple(file.architectures)
    return file.model_copy(
        update={
            "architectures": {name: file.architectures[name] for name in chosen},
            "published": {name: file.published[name] for name in chosen},
            "budget": file.budget.model_copy(update={k: v for k, v in given.items() if v is not None}),
        }
    )


def _summary(data: "PreparedData", kind: DataKind, classes: tuple[str, ...]) -> DataSummary:
    counts: dict[str, dict[str, int]] = {}
    for row in [*data.development.rows, *data.test.rows]:
        own = counts.setdefault(row.side, dict.fromkeys(classes, 0))
        own[classes[row.label]] += 1
    return DataSummary(
        kind=kind,
        digest=data.digest,
        split_digest=data.split_digest,
        grouped_by="patient" if data.has_patients else "image",
        images=counts,
        unreadable=len(data.unreadable),
    )


def _write_inputs(folder: Path, planned: PlannedSweep) -> "tuple[Path, TestData]":
    """Write what actors read; the test images are named only in what finalists are given."""
    from orchestrator.tuning.finalists import TestData
    from orchestrator.tuning.trial_setup import TrialSetup
    from trainables.data.prepare import write_rows

    plan, data = planned.plan, planned.data
    write_rows(folder / "development.csv", data.development.rows)
    write_rows(folder / "test.csv", data.test.rows)
    setup = TrialSetup(
        development=folder / "development.csv",
        arrays=data.development.arrays,
        num_classes=len(plan.classes),
        pretrained=plan.weights == "pretrained",
        epochs=plan.budget.epochs,
        metric=plan.metric,
        device=planned.slots.device,
        threads=planned.slots.threads,
        trials=folder / "trials",
    )
    if data.unreadable:
        lines = [f"{path}\t{reason}" for path, reason in data.unreadable.items()]
        (folder / "unreadable.tsv").write_text("\n".join(["path\treason", *lines, ""]), encoding="utf-8")
    (folder / "trial_setup.json").write_text(setup.model_dump_json(indent=2))
    test = TestData(rows=folder / "test.csv", arrays=data.test.arrays, classes=plan.classes)
    return folder / "trial_setup.json", test


def _started(sweep_id: str, planned: PlannedSweep) -> SweepStarted:
    return SweepStarted(
        sweep_id=sweep_id,
        plan=planned.plan,
        plan_digest=planned.plan.digest,
        slots=planned.slots.count,
        device=planned.slots.device,
        versions=inspecting.versions(),
        git=inspecting.git_state(),
    )


def _check_architectures(planned: PlannedSweep, setup: Path, journal: JournalWriter) -> None:
    plan, data = planned.plan, planned.data
    for name, space in plan.architectures.items():
        checked = inspecting.check_architecture(
            name,
            space,
            num_classes=len(plan.classes),
            pretrained=plan.weights == "pretrained",
            development=setup.with_name("development.csv"),
            images=data.development.arrays,
            device=planned.slots.device,
        )
        journal.append(
            ArchitectureChecked(
                architecture=name,
                trainable_parameters=checked.trainable_parameters,
                total_parameters=checked.total_parameters,
                step_s=checked.step_s,
            )
        )


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
    for weights in (folder / "trials").glob("*/best.safetensors"):
        if weights.parent.name not in finalists:
            weights.unlink()
    shutil.rmtree(folder / "ray", ignore_errors=True)


def _winner_json(state: SweepState) -> dict[str, Any] | None:
    if state.winner is None:
        return None
    finalist = state.finalists[state.winner]
    run_ids = state.tracked.trial_run_ids if state.tracked else {}
    return {
        "trial_id": state.winner,
        "architecture": state.trials[state.winner].architecture,
        "run_id": run_ids.get(state.winner),
        "validation": finalist.validation,
        "test": with_interval(finalist.test),
    }
