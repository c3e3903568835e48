"""MLflow held against a sweep's journal point by point: every run, parameter, metric, step, time, value and status."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from orchestrator.open_sweep import state_of
from orchestrator.sweep_state import SweepState, TrialState

STATUS = {"completed": "FINISHED", "pruned": "KILLED", "interrupted": "KILLED", "failed": "FAILED"}
Point = tuple[str, int, int, float]  # metric, step, time in ms, value


@dataclass
class Compared:
    """How many points the journal tells, and what differs in the store, a line each."""

    points: int = 0
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    twins: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        kinds = {"missing": self.missing, "doubled": self.doubled, "twin": self.twins, "wrong": self.wrong}
        return [f"{kind}: {line}" for kind, lines in kinds.items() for line in lines]


def compare_points(client: MlflowClient, sweep: Path) -> Compared:
    """Compare a sweep that has ended, without finalists, with what a store holds of it."""
    state, found = state_of(sweep), Compared()
    runs = _runs_of(client, state, found)
    wanted = {"parent", *map(str, state.trials)}
    found.missing += [f"run {key}" for key in sorted(wanted - set(runs))]
    found.wrong += [f"run {key} is of no trial" for key in sorted(set(runs) - wanted)]
    if "parent" in runs:
        assert state.ended is not None
        _expect(found, "parent's status", STATUS[state.ended.state], runs["parent"].info.status)
    for trial in state.trials.values():
        run = runs.get(str(trial.number))
        points = _points(trial)
        found.points += len(points)
        if run is not None:
            _compare_points_of(client, run, trial.number, points, found)
            _compare_words_of(run, trial, runs["parent"].info.run_id if "parent" in runs else "", found)
    return found


def _runs_of(client: MlflowClient, state: SweepState, found: Compared) -> dict[str, Run]:
    experiment = client.get_experiment_by_name(state.plan.task)
    if experiment is None:
        return {}
    search = f"tags.`orchestrate.sweep_id` = '{state.started.sweep_id}'"
    runs: dict[str, Run] = {}
    for run in client.search_runs([experiment.experiment_id], search, max_results=5000):
        key = run.data.tags.get("orchestrate.trial_id", "parent")
        if key in runs:
            found.twins.append(f"run {key}: {run.info.run_id} and {runs[key].info.run_id}")
        runs[key] = run
    return runs


def _points(trial: TrialState) -> list[Point]:
    points = [
        (name, epoch.epoch, int(epoch.time * 1000), value)
        for epoch in trial.epochs
        for name, value in epoch.metrics.items()
        if value is not None
    ]
    if trial.best is not None and trial.state != "running":
        at_ms = int(trial.best.time * 1000)
        best = {name: value for name, value in trial.best.metrics.items() if name.startswith("val/")}
        points += [
            (f"best/{name.removeprefix('val/')}", trial.best.epoch, at_ms, value)
            for name, value in best.items()
            if value is not None
        ]
    return points


def _compare_points_of(client: MlflowClient, run: Run, number: int, wanted: list[Point], found: Compared) -> None:
    names = {name for name, *_ in wanted} | set(run.data.metrics)
    held: Counter[Point] = Counter()
    for name in names:
        for point in client.get_metric_history(run.info.run_id, name):
            held[name, point.step, point.timestamp, point.value] += 1
    steps = Counter((name, step) for name, step, *_ in held.elements())
    found.missing += [f"trial {number}: {point}" for point in wanted if point not in held]
    found.doubled += [f"trial {number}: {at} stands {count} times" for at, count in steps.items() if count > 1]
    known = {(name, step) for name, step, *_ in wanted}
    found.wrong += [f"trial {number}: {at} is in no journal" for at in steps if at not in known]


def _compare_words_of(run: Run, trial: TrialState, parent: str, found: Compared) -> None:
    shown = {name: f"{v:.6g}" if isinstance(v, float) else str(v) for name, v in trial.hyperparameters.items()}
    what = f"trial {trial.number}"
    _expect(found, f"{what}'s parameters", shown | {"seed": str(trial.seed)}, dict(run.data.params))
    _expect(found, f"{what}'s status", STATUS[trial.state], run.info.status)
    _expect(found, f"{what}'s reason", trial.reason, run.data.tags.get("orchestrate.stop_reason"))
    _expect(found, f"{what}'s parent", parent, run.data.tags.get("mlflow.parentRunId"))


def _expect(found: Compared, what: str, wanted: object, held: object) -> None:
    if wanted != held:
        found.wrong.append(f"{what}: {held!r}, the journal says {wanted!r}")
