import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from record_support import forget_what_was_sent
from sweep_support import make_plan, suggested
from sweep_support import started as first_line

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import (
    EpochEnded,
    Event,
    FinalistEvaluated,
    JournalWriter,
    Registered,
    SweepEnded,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    WinnerChosen,
)
from orchestrator.sweep_lock import owned
from orchestrator.sweep_state import replay
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import SyncOutcome, model_key, outcome_file, read_outcome
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.registry import register_winner
from orchestrator.tracking.store import open_store, told_as_bad_input, without_password
from orchestrator.tracking.sync import Sync, follow, lock_file
from trainables.catalog import TASKS
from trainables.data.split_rows import SplitRow
from trainables.evaluation.evaluation import evaluate
from trainables.evaluation.evaluation_files import write_evaluation
from trainables.evaluation.named_metrics import named_metrics
from trainables.evaluation.predictions import Predictions


@pytest.fixture(scope="module")
def store_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One embedded store for the module: creating its tables takes seconds."""
    home = Home(tmp_path_factory.mktemp("home"))
    open_store(home, None)
    return home


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for number in range(3):
        folder = tmp_path / "trials" / f"{number:04d}"
        folder.mkdir(parents=True)
        probs_NK = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
        np.savez(folder / "best_validation.npz", probs_NK=probs_NK, labels_N=np.array([0, 1]), epoch=2)
    return tmp_path


@pytest.fixture(autouse=True)
def small_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw in one test only: it takes most of their time."""
    if request.node.name != "test_a_journal_becomes_runs_once":
        for name in ("draw_confusion_matrix", "draw_training_curves"):
            monkeypatch.setattr(f"orchestrator.tracking.runs.{name}", lambda path, *about: path.write_bytes(b"figure"))


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

    for name in ("create_run", "log_batch", "set_terminated", "log_artifact"):
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
    assert len(written) == 6
    client.delete_run(run.info.run_id)
    Sync(sweep, store_home, None).pass_once()
    again = runs_of(client, "finalist")["0"]
    assert again.data.metrics == run.data.metrics, "a run that was deleted is made whole again"
    assert {item.path for item in client.list_artifacts(again.info.run_id, "evaluation")} == written


def test_a_winner_whose_evaluation_is_void_is_not_registered(sweep: Path, store_home: Home) -> None:
    """A resumed sweep trained its winner further, and the store has heard nothing of it so far."""
    finalist = FinalistEvaluated(trial=0, validation={"auroc": 0.8}, test={"auroc": 0.7})
    first = [*events("void", end=False), finalist, WinnerChosen(trial=0), SweepEnded(state="completed")]
    plan = make_plan()
    resumed = SweepResumed(plan=plan, plan_digest=plan.digest, slots=1, device="cpu", versions={}, git={}, extended=[0])
    better = EpochEnded(trial=0, epoch=4, metrics={"val/auroc": 0.95, "val/log_loss": 0.4, "perf/epoch_s": 1.0})
    write(sweep, [*first, resumed, TrialStarted(trial=0, after_epoch=3), better])
    (sweep / "trials" / "0000" / "best.safetensors").write_bytes(b"weights")
    (sweep / "finalists" / "0000").mkdir(parents=True)
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    assert sync.outcome.registered is None
    assert runs_of(open_store(store_home, None), "void")["parent"].info.status == "RUNNING"


def test_what_an_earlier_winner_became_is_not_told_of_a_later_one() -> None:
    lines = [*events("told", end=False), FinalistEvaluated(trial=0, validation={}, test={}), WinnerChosen(trial=0)]
    state = replay(lines)
    version = Registered(name="stroke_phantom", version="2", aliases=[])
    now = SyncOutcome(registered=version, registered_for=model_key(state)).told(state)
    before = SyncOutcome(registered=version, registered_for="1@3").told(state)
    assert (now.registered, now.fault) == (version, "")
    assert (before.registered, before.fault) == (None, "sync ended before it registered the winner")


@pytest.mark.parametrize(("held", "proposed"), [({}, ["challenger", "champion"]), ({"challenger": "3"}, ["champion"])])
def test_an_old_sweep_that_is_sent_again_proposes_nothing_anew(
    monkeypatch: pytest.MonkeyPatch, held: dict, proposed: list[str]
) -> None:
    state = replay([*events("old", end=False), WinnerChosen(trial=0)])
    aliases: list[str] = []
    client = SimpleNamespace(
        get_registered_model=lambda name: SimpleNamespace(aliases=held),
        set_registered_model_alias=lambda name, alias, version: aliases.append(alias),
    )
    monkeypatch.setattr("orchestrator.tracking.registry._version_of_winner", lambda *about: "2")
    register_winner(client, state, Path(), "0", "run")
    assert aliases == proposed


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
    assert "MlflowException" in (outcome.error or "")
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
    process._process.kill()
    process._process.wait()
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
    resumed = SweepResumed(plan=more, plan_digest="q", slots=1, device="cpu", versions={}, git={})
    write(sweep, [resumed, TrialStarted(trial=2, after_epoch=3)])
    Sync(sweep, store_home, None).pass_once()
    assert statuses() == {"parent": "RUNNING", "0": "FINISHED", "1": "KILLED", "2": "RUNNING"}
    assert runs_of(client, "resumed")["parent"].data.tags["orchestrate.trials"] == "77"
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
    monkeypatch.setattr("orchestrator.tracking.sync.RETRY_S", 0.01)
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


def test_a_sweep_can_be_sent_to_a_second_store(sweep: Path, store_home: Home, tmp_path_factory) -> None:
    write(sweep, events("twice"))
    other = f"sqlite:///{tmp_path_factory.mktemp('other') / 'other.db'}"
    heard = []
    catch_up(sweep, store_home, None, lambda sent, of: None)
    catch_up(sweep, store_home, other, lambda sent, of: heard.append((sent, of)))
    catch_up(sweep, store_home, None, lambda sent, of: heard.append("again"))
    check_against_journal(open_store(store_home, other), "twice")
    check_against_journal(open_store(store_home, None), "twice")
    lines = len(events("twice"))
    assert heard == [(lines, lines)], "what was sent to the first is not sent again"


def test_a_long_journal_goes_in_batches_and_what_was_sent_stays_sent(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sweep, events("batches"))
    monkeypatch.setattr("orchestrator.tracking.sync.EVENTS_PER_BATCH", 4)
    heard: list[int] = []

    def broken_off_after_two(sent: int, of: int) -> None:
        heard.append(sent)
        if len(heard) == 2:
            raise OSError("the cable is out")

    with pytest.raises(BadInput, match="the cable is out"):
        catch_up(sweep, store_home, None, broken_off_after_two)
    assert heard == [4, 8]
    outcome = catch_up(sweep, store_home, None, lambda sent, of: heard.append(sent))
    assert heard[2:] == [12, 16, len(events("batches"))]
    assert outcome.events_sent == len(events("batches"))
    check_against_journal(open_store(store_home, None), "batches")


def test_a_store_that_another_process_is_sending_to_is_left_to_it(sweep: Path, store_home: Home) -> None:
    write(sweep, events("held"))
    with lock_file(sweep, store_home, None).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BadInput, match="another process is sending it to this store"):
            catch_up(sweep, store_home, None, lambda sent, of: None)


def test_what_nobody_runs_any_more_is_closed_and_what_somebody_runs_is_not(sweep: Path, store_home: Home) -> None:
    write(sweep, events("abandoned", end=False)[:-1])
    client = open_store(store_home, None)
    with owned(sweep):
        catch_up(sweep, store_home, None, lambda sent, of: None)
        assert runs_of(client, "abandoned")["parent"].info.status == "RUNNING"
    catch_up(sweep, store_home, None, lambda sent, of: None)
    statuses = {key: run.info.status for key, run in runs_of(client, "abandoned").items()}
    assert statuses == {"parent": "KILLED", "0": "FINISHED", "1": "KILLED", "2": "KILLED"}
