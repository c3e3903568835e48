"""The three records of a sweep held together: journal, MLflow runs, and what its trials' processes witnessed."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.home import Home
from orchestrator.journal import EpochEnded, TrialSuggested, read_events
from orchestrator.sweep_state import SweepState, replay
from orchestrator.tracking.outcome import outcome_files
from orchestrator.tracking.store import open_store

STATUS = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
PERF = "perf/"  # seconds differ where an epoch is redone
SAME = 1e-9


@dataclass
class Records:
    """What each record says, by trial and epoch: metrics without those of time."""

    state: SweepState
    journal: dict[tuple[int, int], dict[str, float]]
    journal_twice: list[tuple[int, int]]
    witness: dict[tuple[int, int], list[dict[str, float]]]
    mlflow: dict[tuple[int, int], dict[str, list[float]]]
    runs: Counter
    statuses: dict[int, str]
    parent_statuses: list[str]
    suggestions: dict[int, dict[str, Any]]

    def redone_epochs(self) -> int:
        return sum(len(lines) - 1 for lines in self.witness.values())

    def most_redone(self) -> tuple[int, float]:
        """Return epochs and seconds that were trained again of the trial that lost most."""
        lost: Counter = Counter()
        for (trial, _), lines in self.witness.items():
            lost[trial] += len(lines) - 1
        trial, epochs = lost.most_common(1)[0]
        known = self.state.trials[trial]
        return epochs, epochs * known.compute_s / len(known.epochs)


def records_of(sweep: Path, home: Path) -> Records:
    """Read all three records of a sweep."""
    events, _ = read_events(sweep / "journal.jsonl")
    told = [(event.trial, event.epoch) for event in events if isinstance(event, EpochEnded)]
    journal = {(e.trial, e.epoch): _timeless(e.metrics) for e in events if isinstance(e, EpochEnded)}
    witness: dict[tuple[int, int], list[dict[str, float]]] = {}
    for path in sorted((sweep / "trials").glob("*/witness.jsonl")):
        for line in path.read_text().splitlines():
            seen = json.loads(line)
            witness.setdefault((seen["trial"], seen["epoch"]), []).append(_timeless(seen["metrics"]))
    client = open_store(Home(home), None)
    experiment = client.get_experiment_by_name("stroke")
    found = client.search_runs([experiment.experiment_id], f"tags.`orchestrate.sweep_id` = '{sweep.name}'")
    runs: Counter = Counter()
    statuses, parents = {}, []
    mlflow: dict[tuple[int, int], dict[str, list[float]]] = {}
    for run in found:
        if run.data.tags["orchestrate.role"] == "sweep":
            parents.append(run.info.status)
            continue
        number = int(run.data.tags["orchestrate.trial_id"])
        runs[number] += 1
        statuses[number] = run.info.status
        for name in run.data.metrics:
            if name.startswith(("train/", "val/")):
                for point in client.get_metric_history(run.info.run_id, name):
                    mlflow.setdefault((number, point.step), {}).setdefault(name, []).append(point.value)
    suggestions = {e.trial: e.hyperparameters for e in events if isinstance(e, TrialSuggested)}
    twice = [key for key, count in Counter(told).items() if count > 1]
    return Records(replay(events), journal, twice, witness, mlflow, runs, statuses, parents, suggestions)


def compare(found: Records, trials: int, epochs: int) -> list[str]:
    """Return what is lost, doubled, twin, open or unequal, a line each; nothing where the records agree."""
    state, faults = found.state, []
    if sorted(state.trials) != list(range(trials)):
        faults.append(f"lost trials: the journal has {sorted(state.trials)}")
    for number, trial in state.trials.items():
        if trial.state not in ("completed", "pruned"):
            faults.append(f"trial {number} is {trial.state}: {trial.reason}")
        known = [epoch.epoch for epoch in trial.epochs]
        if known != list(range(1, len(known) + 1)) or (trial.state == "completed" and len(known) != epochs):
            faults.append(f"trial {number} has epochs {known}")
        if found.runs[number] != 1:
            faults.append(f"trial {number} has {found.runs[number]} runs")
        elif found.statuses[number] != STATUS.get(trial.state):
            faults.append(f"trial {number} is {trial.state}, its run {found.statuses[number]}")
    if found.parent_statuses != ["FINISHED"]:
        faults.append(f"parent runs: {found.parent_statuses}")
    if found.journal_twice:
        faults.append(f"twice in the journal: {found.journal_twice}")
    if set(found.witness) != set(found.journal):
        faults.append(f"trained but not in the journal, or the reverse: {set(found.witness) ^ set(found.journal)}")
    for key, told in found.journal.items():
        if any(not _equal(seen, told) for seen in found.witness.get(key, [])):
            faults.append(f"{key}: the witness saw other numbers than the journal tells")
        points = found.mlflow.get(key, {})
        if any(len(values) != 1 for values in points.values()):
            faults.append(f"{key}: a point stands twice in MLflow")
        elif not _equal({name: values[0] for name, values in points.items()}, told):
            faults.append(f"{key}: MLflow has other numbers than the journal")
    if state.tracked is None or state.tracked.registered is None:
        faults.append("nothing was registered")
    return faults


def _timeless(metrics: dict[str, float | None]) -> dict[str, float]:
    return {k: v for k, v in metrics.items() if v is not None and not k.startswith(PERF)}


def _equal(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= SAME for name in one)


def forget_what_was_sent(sweep: Path) -> None:
    """Lose sync's note of how far it was."""
    for path in outcome_files(sweep):
        path.unlink()
