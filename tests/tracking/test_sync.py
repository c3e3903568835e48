import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from record_support import forget_what_was_sent
from sync_support import check_against_journal, events, runs_of, write

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import (
    FinalistEvaluated,
    SweepEnded,
    SweepResumed,
    SweepTracked,
    TrialEnded,
    TrialStarted,
)
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import outcome_file, read_outcome
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.retrying import follow
from orchestrator.tracking.store import open_store, told_as_bad_input, without_password
from orchestrator.tracking.sync import Sync
from trainables.catalog import TASKS
from trainables.data.split_rows import SplitRow
from trainables.evaluation.evaluation import evaluate
from trainables.evaluation.evaluation_files import write_evaluation
from trainables.evaluation.named_metrics import named_metrics
from trainables.evaluation.predictions import Predictions


def test_a_journal_becomes_runs_once(sweep: Path, store_home: Home) -> None:
    write(sweep, events("whole"))
    client = open_store(store_home, None)
    for _ in range(2):
        sync = Sync(sweep, store_home, None)
        sync.pass_once()
        assert sync.ended
        check_against_journal(client, "whole")


def test_a_sync_that_died_anywhere_leaves_no_twins(sweep: Path, store_home: Home, monkeypatch) -> None:
    write(sweep, events("dying"))
    client = open_store(store_home, None)
    calls = {"left": 0}

    def dying(method):
        def call(self, *arguments, **options):
            result = method(self, *arguments, **options)
            calls["left"] -= 1
            if calls["left"] == 0:
                raise MlflowException("the server went away after it had done its work")
            return result

        return call

    for name in ("create_run", "log_batch", "set_terminated", "log_text", "log_artifacts"):
        monkeypatch.setattr(MlflowClient, name, dying(getattr(MlflowClient, name)))
    deaths = 0
    for nth in range(1, 40):
        calls["left"] = nth
        try:
            Sync(sweep, store_home, None).pass_once()  # a new process each time: only the file and the tags are known
        except MlflowException:
            deaths += 1
        else:
            break
    assert deaths > 10
    calls["left"] = -1
    check_against_journal(client, "dying")


def test_the_report_of_a_sweep_that_came_to_its_end_is_an_artifact(sweep: Path, store_home: Home) -> None:
    client = open_store(store_home, None)
    (sweep / "report" / "figures").mkdir(parents=True)
    (sweep / "report" / "index.html").write_text("<!doctype html>")
    (sweep / "report" / "figures" / "roc.png").write_bytes(b"png")
    write(sweep, [*events("reported", end=False), SweepEnded(state="interrupted", reason="by the user")])
    for ended, paths in (("interrupted", set()), ("completed", {"report/index.html", "report/figures"})):
        if ended == "completed":
            write(sweep, [SweepEnded(state="completed")])
        Sync(sweep, store_home, None).pass_once()
        run_id = runs_of(client, "reported")["parent"].info.run_id
        assert {artifact.path for artifact in client.list_artifacts(run_id, "report")} == paths, ended


def test_a_report_that_names_a_late_version_replaces_the_one_that_was_sent(sweep: Path, store_home: Home) -> None:
    client = open_store(store_home, None)
    (sweep / "report").mkdir()
    page = sweep / "report" / "index.html"
    page.write_text("registered: no")
    write(sweep, events("late-report"))
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    page.write_text("registered: version 1")
    write(sweep, [SweepTracked(tracking_uri="x", run_id=None, trial_run_ids={}, registered=None)])
    sync.pass_once()
    sent = client.download_artifacts(runs_of(client, "late-report")["parent"].info.run_id, "report/index.html")
    assert Path(sent).read_text() == "registered: version 1"


def test_what_was_lost_in_the_store_is_sent_again(sweep: Path, store_home: Home) -> None:
    write(sweep, events("lossy"))
    client = open_store(store_home, None)
    Sync(sweep, store_home, None).pass_once()
    runs = runs_of(client, "lossy")
    client.delete_run(runs["1"].info.run_id)
    client.update_run(runs["0"].info.run_id, "RUNNING")
    forget_what_was_sent(sweep)
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(client, "lossy")


def test_a_sweep_that_was_deleted_from_the_store_is_sent_whole_again(sweep: Path, store_home: Home) -> None:
    write(sweep, events("deleted"))
    client = open_store(store_home, None)
    Sync(sweep, store_home, None).pass_once()
    client.delete_run(runs_of(client, "deleted")["parent"].info.run_id)
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(client, "deleted")


def test_a_finalists_numbers_and_files_reach_its_run(sweep: Path, store_home: Home) -> None:
    task = TASKS["stroke"]
    rows = [SplitRow(f"{n}.png", n % 2, ("CT", "MR")[n // 2 % 2], f"p{n}", "test", f"{n}") for n in range(40)]
    given = Predictions(np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), rows)
    evaluation = evaluate(task, given, given)
    write_evaluation(sweep / "finalists" / "0000", task, evaluation, given, given)
    every_tenth = sweep / "finalists" / "0000" / "checkpoints" / "model_epoch_010.safetensors"
    every_tenth.parent.mkdir()
    every_tenth.touch()
    further = named_metrics(evaluation) | {f"test/modality {n}/auroc": 0.5 for n in range(1000)}  # one call takes 1000
    overall = evaluation.test.overall
    finalist = FinalistEvaluated(
        trial=0, validation=overall.metrics, test=overall.metrics, test_intervals=overall.intervals, test_groups=40,
        leak_free_reason="development has seen every test image", further=further,
    )  # fmt: skip
    write(sweep, [*events("finalist", end=False), finalist, SweepEnded(state="completed")])
    Sync(sweep, store_home, None).pass_once()
    client = open_store(store_home, None)
    run = runs_of(client, "finalist")["0"]
    assert further == {name: run.data.metrics.get(name) for name in further}
    assert run.data.metrics["test/CT/auroc"] == evaluation.test.per_modality["CT"].metrics["auroc"]
    assert run.data.metrics["final_val/accuracy"] == overall.metrics["accuracy"]
    assert run.data.metrics["test/auroc_low"] < run.data.metrics["test/auroc"] < run.data.metrics["test/auroc_high"]
    assert "test/quadratic_kappa" not in run.data.metrics
    assert run.data.tags["orchestrate.test_groups"] == "40"
    assert run.data.tags["orchestrate.leak_free_reason"] == finalist.leak_free_reason
    written = {f"evaluation/{path.name}" for path in (sweep / "finalists" / "0000").iterdir()}
    assert {item.path for item in client.list_artifacts(run.info.run_id, "evaluation")} == written
    assert len(written) == 7
    (kept,) = client.list_artifacts(run.info.run_id, "evaluation/checkpoints")
    assert kept.path == f"evaluation/checkpoints/{every_tenth.name}"
    gone = sweep / "finalists" / "0000" / "metrics.json"
    content = gone.read_bytes()
    gone.unlink()
    forget_what_was_sent(sweep)
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    assert sync.outcome.missing_in_words == "not sent, for they are gone: finalists/0000/metrics.json"
    gone.write_bytes(content)
    client.delete_run(run.info.run_id)
    Sync(sweep, store_home, None).pass_once()
    again = runs_of(client, "finalist")["0"]
    assert again.data.metrics == run.data.metrics, "a run that was deleted is made whole again"
    assert {item.path for item in client.list_artifacts(again.info.run_id, "evaluation")} == written


def test_a_finalist_whose_files_are_gone_holds_nothing_up_and_they_are_named(sweep: Path, store_home: Home) -> None:
    finalist = FinalistEvaluated(trial=0, validation={"auroc": 0.8}, test={"auroc": 0.7})
    write(sweep, [*events(sweep.name, end=False), finalist, SweepEnded(state="completed")])
    outcome = catch_up(sweep, store_home, None, lambda sent, of: None)
    assert outcome.missing_in_words == "not sent, for they are gone: finalists/0000/*"
    assert runs_of(open_store(store_home, None), sweep.name)["0"].data.metrics["test/auroc"] == 0.7


def test_the_embedded_store_is_in_wal_mode_with_artifacts_beside_it(store_home: Home) -> None:
    with sqlite3.connect(store_home.mlflow / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    experiment = open_store(store_home, None).get_experiment_by_name("stroke")
    assert experiment.artifact_location == (store_home.mlflow / "artifacts" / "stroke").as_uri()


def test_a_store_out_of_reach_is_told_and_costs_no_line(sweep: Path, store_home: Home) -> None:
    write(sweep, events("late"))
    sync = Sync(sweep, store_home, "http://127.0.0.1:9")
    with pytest.raises(MlflowException) as caught:
        sync.pass_once()
    sync.report(caught.value)
    outcome = read_outcome(outcome_file(sweep, store_home, "http://127.0.0.1:9"))
    assert outcome.error == "Connection refused"
    assert outcome.events_sent == 0
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(open_store(store_home, None), "late")


def test_a_driver_that_was_killed_leaves_no_run_running(sweep: Path, store_home: Home) -> None:
    write(sweep, events("killed", end=False)[:-1])
    code = (
        "import subprocess, sys, os;"
        f"subprocess.Popen([sys.executable, '-m', 'orchestrator.tracking.sync', {str(sweep)!r}, "
        f"{str(store_home.root)!r}, str(os.getpid())], start_new_session=True);"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"MLFLOW_TRACKING_URI": ""})
    client = open_store(store_home, None)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        statuses = {key: run.info.status for key, run in runs_of(client, "killed").items()}
        if statuses == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}:
            break
        time.sleep(0.5)
    assert statuses == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}
    reason = runs_of(client, "killed")["2"].data.tags["orchestrate.stop_reason"]
    assert "interrupted" in reason


def test_a_sync_that_is_killed_is_started_again(sweep: Path, store_home: Home) -> None:
    lines = events("restarted")
    write(sweep, lines[:6])
    process = SyncProcess(sweep, store_home, None)
    process.wait_until(lambda outcome: outcome.events_sent == 6)
    killed = process._process
    killed.kill()
    killed.wait()
    write(sweep, lines[6:])
    process.wait_until(lambda outcome: outcome.events_sent == len(lines))
    process.close()
    check_against_journal(open_store(store_home, None), "restarted")


def test_points_that_the_journal_lost_and_tells_again_stand_once(sweep: Path, store_home: Home) -> None:
    """A machine that went down took lines that had been sent; what was trained is told again, later."""
    lines = events("power")
    write(sweep, lines)
    Sync(sweep, store_home, None).pass_once()
    forget_what_was_sent(sweep)
    (sweep / "journal.jsonl").unlink()
    later = [event.model_copy(update={"time": event.time + 60}) for event in lines[4:]]
    write(sweep, [*lines[:4], *later])
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(open_store(store_home, None), "power")


def test_a_resumed_sweeps_runs_are_open_until_it_ends_again(sweep: Path, store_home: Home) -> None:
    first = [*events("resumed", end=False)[:-1], SweepEnded(state="interrupted", reason="interrupted by the user")]
    write(sweep, first)
    Sync(sweep, store_home, None).pass_once()
    client = open_store(store_home, None)

    def statuses() -> dict[str, str]:
        return {key: run.info.status for key, run in runs_of(client, "resumed").items()}

    assert statuses() == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}
    plan = first[0].plan
    more = plan.model_copy(update={"budget": plan.budget.model_copy(update={"trials": 77})})
    code = {"commit": "c0ffee", "dirty": "true"}
    resumed = SweepResumed(plan=more, plan_digest="q", slots=1, device="cpu", versions={"torch": "3"}, git=code)
    write(sweep, [resumed, TrialStarted(trial=2, after_epoch=3)])
    (sweep / "code_resumed.patch").write_text("+ a line")
    (sweep / "data").mkdir()  # its first process was ended before it had written it
    (sweep / "data" / "split.csv").write_text("path")
    Sync(sweep, store_home, None).pass_once()
    assert statuses() == {"parent": "RUNNING", "0": "FINISHED", "1": "KILLED", "2": "RUNNING"}
    parent = runs_of(client, "resumed")["parent"]
    about = {"trials": "77", "resumed_git_commit": "c0ffee", "resumed_git_dirty": "true", "resumed_version.torch": "3"}
    assert about == {name: parent.data.tags.get(f"orchestrate.{name}") for name in about}
    files = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"code_resumed.patch", "data", "plan.json"} <= files
    write(sweep, [TrialEnded(trial=2, state="failed", reason="epoch 4: loss is nan"), SweepEnded(state="completed")])
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(client, "resumed")


def test_closing_an_abandoned_sweep_is_tried_again(sweep: Path, store_home: Home, monkeypatch) -> None:
    write(sweep, events("abandoned", end=False)[:-1])
    sync = Sync(sweep, store_home, None)
    failing = {"left": 1}
    whole = MlflowClient.set_terminated

    def locked_once(self, *arguments, **options):
        if failing["left"] and arguments[1] == "KILLED":
            failing["left"] -= 1
            raise sqlite3.OperationalError("database is locked")
        return whole(self, *arguments, **options)

    sync.pass_once()
    monkeypatch.setattr(MlflowClient, "set_terminated", locked_once)
    monkeypatch.setattr("orchestrator.tracking.retrying.RETRY_S", 0.01)
    follow(sync, driver_pid=-1)  # no process has this id: the driver is dead
    statuses = {key: run.info.status for key, run in runs_of(open_store(store_home, None), "abandoned").items()}
    assert failing["left"] == 0
    assert statuses == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}


def test_a_password_is_neither_stored_nor_shown(sweep: Path, store_home: Home) -> None:
    uri = "postgresql://user:secret@127.0.0.1:9/db"
    assert without_password(uri) == "postgresql://***@127.0.0.1:9/db"
    with pytest.raises(BadInput) as caught, told_as_bad_input(store_home, uri):
        open_store(store_home, uri).search_experiments()
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_that_was_deleted_while_its_trial_trains_is_made_anew_and_whole(sweep: Path, store_home: Home) -> None:
    lines = events("deleted-midway")
    write(sweep, lines[:5])  # two epochs of trial 0
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    client = open_store(store_home, None)
    client.delete_run(runs_of(client, "deleted-midway")["0"].info.run_id)
    write(sweep, lines[5:])
    with pytest.raises(MlflowException):
        sync.pass_once()
    sync.pass_once()
    check_against_journal(client, "deleted-midway")
