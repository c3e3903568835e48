"""A small sweep as its journal tells it, and what MLflow must hold of it."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from sweep_support import make_plan, suggested
from sweep_support import started as first_line

from orchestrator.journal import (
    EpochEnded,
    Event,
    JournalWriter,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)


def started(sweep_id: str) -> SweepStarted:
    plan = make_plan()
    phantom = plan.data.model_copy(update={"kind": "phantom"})
    return first_line(plan.model_copy(update={"data": phantom}), sweep_id)


def events(sweep_id: str, end: bool = True) -> list[Event]:
    lines: list[Event] = [started(sweep_id)]
    for number in range(3):
        lines.append(suggested(number, lr=1.23456789e-4))
        lines.append(TrialStarted(trial=number))
        for epoch in (1, 2, 3):
            metrics = {"val/auroc": 0.5 + 0.1 * epoch, "val/log_loss": 0.5, "train/loss": None, "perf/epoch_s": 1.0}
            lines.append(EpochEnded(trial=number, epoch=epoch, metrics=metrics))
    lines.append(TrialEnded(trial=0, state="completed", reason="all 3 epochs trained"))
    lines.append(TrialEnded(trial=1, state="pruned", reason="ASHA at epoch 3"))
    lines.append(TrialEnded(trial=2, state="failed", reason="epoch 4: loss is nan"))
    return [*lines, SweepEnded(state="completed")] if end else lines


def write(sweep: Path, lines: list[Event]) -> None:
    with JournalWriter(sweep / "journal.jsonl", lambda event: None) as journal:
        for line in lines:
            journal.append(line)


def runs_of(client: MlflowClient, sweep_id: str) -> dict[str, object]:
    experiment = client.get_experiment_by_name("stroke")
    if experiment is None:  # sync has not come so far
        return {}
    found = client.search_runs([experiment.experiment_id], f"tags.`orchestrate.sweep_id` = '{sweep_id}'")
    names = [run.info.run_name for run in found]
    assert len(names) == len(set(names)), "twin runs"
    return {run.data.tags.get("orchestrate.trial_id", "parent"): run for run in found}


def check_against_journal(client: MlflowClient, sweep_id: str) -> None:
    runs = runs_of(client, sweep_id)
    assert set(runs) == {"parent", "0", "1", "2"}
    statuses = {key: run.info.status for key, run in runs.items()}
    assert statuses == {"parent": "FINISHED", "0": "FINISHED", "1": "KILLED", "2": "FAILED"}
    for number in range(3):
        run = runs[str(number)]
        assert run.data.tags["mlflow.parentRunId"] == runs["parent"].info.run_id
        assert run.data.params["lr"] == "0.000123457"
        assert run.data.metrics["best/auroc"] == pytest.approx(0.8)
        history = client.get_metric_history(run.info.run_id, "val/auroc")
        assert [(point.step, round(point.value, 3)) for point in history] == [(1, 0.6), (2, 0.7), (3, 0.8)]
        assert client.get_metric_history(run.info.run_id, "train/loss") == []
        figures = [item.path for item in client.list_artifacts(run.info.run_id, "figures")]
        assert figures == ["figures/confusion_matrix_validation.png", "figures/training_curves.png"]
    assert runs["2"].data.tags["orchestrate.stop_reason"] == "epoch 4: loss is nan"
    assert "| rank | trial |" in runs["parent"].data.tags["mlflow.note.content"]
