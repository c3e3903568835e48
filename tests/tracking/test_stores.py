"""Stores out of order: what is sent stands once, whatever a call's end; minutes of it are in tests/faults/stores.py."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from points_support import compare_points
from sqlalchemy import event
from sqlalchemy.engine import Engine
from store_support import Proxy, Spoilt, locked, proxy_of
from sync_support import check_against_journal, events, runs_of, write

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.journal import EpochEnded, TrialStarted
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import SyncOutcome, outcome_file, read_outcome, without_password, write_outcome
from orchestrator.tracking.process import SyncProcess
from orchestrator.tracking.retrying import follow
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store
from orchestrator.tracking.store_fault import STORE_FAULTS
from orchestrator.tracking.store_reach import SAY_AFTER_S, StoreReach
from orchestrator.tracking.sync import Sync


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store_home: Home) -> Iterator[str]:
    """A server on a store whose tables are made already."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(store_home.mlflow / "mlflow.db", folder / "mlflow.db")
    with mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", Address(HOST, free_port())) as url:
        yield url


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with proxy_of(server) as proxy:
        yield proxy


def keep_trying(sync: Sync, most: int = 300) -> int:
    """Let one sync pass until it is through, as `follow` does without its pauses; return how often it failed."""
    for failed in range(most):
        try:
            sync.pass_once()
        except STORE_FAULTS as error:
            sync.report(error)
        else:
            return failed
    raise AssertionError(f"not through after {most} passes")


def test_a_call_that_fails_in_the_middle_of_a_batch_sends_nothing_twice(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process: the runs were made, the offset was not written, and what it remembers is older than the store."""
    write(sweep, events("middle"))
    counts = {"calls": 0, "failed": 0}

    def failing(method: Callable[..., object]) -> Callable[..., object]:
        def call(self: MlflowClient, *arguments: object, **options: object) -> object:
            result = method(self, *arguments, **options)
            counts["calls"] += 1
            if counts["calls"] % 3 == 0:
                counts["failed"] += 1
                raise MlflowException("the answer was lost")
            return result

        return call

    with monkeypatch.context() as patch:
        for name in ("create_run", "log_batch", "set_terminated"):
            patch.setattr(MlflowClient, name, failing(getattr(MlflowClient, name)))
        failures = keep_trying(Sync(sweep, store_home, None))
    assert failures == counts["failed"] > 3
    client = open_store(store_home, None)
    assert compare_points(client, sweep).faults == []
    check_against_journal(client, "middle")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(Spoilt(500, True), id="500 after the work", marks=pytest.mark.faults),
        pytest.param(Spoilt(500, False), id="500", marks=pytest.mark.faults),
        pytest.param(Spoilt(429, False), id="429", marks=pytest.mark.faults),
        pytest.param(Spoilt(504, True), id="504 after the work", marks=pytest.mark.faults),
        pytest.param(Spoilt(None, True), id="connection lost after the work"),
    ],
)
def test_a_server_that_spoils_one_answer_in_four_gets_everything_once(
    sweep: Path, store_home: Home, proxy: Proxy, spoilt: Spoilt
) -> None:
    sweep_id = f"spoilt-{spoilt.status}-{spoilt.carried_out}"
    write(sweep, events(sweep_id))
    rng = random.Random(1)
    proxy.spoil = lambda method, path, nth: spoilt if rng.random() < 0.25 else None
    assert keep_trying(Sync(sweep, store_home, proxy.url)) > 3
    proxy.spoil = lambda method, path, nth: None
    assert compare_points(open_store(store_home, proxy.url), sweep).faults == []


def test_a_server_that_comes_only_after_the_sweep_is_sent_everything(
    sweep: Path, store_home: Home, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sweep, events(sweep.name))
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    sync = Sync(sweep, store_home, uri)
    for _ in range(3):
        with pytest.raises(STORE_FAULTS) as caught:
            sync.pass_once()
        sync.report(caught.value)
    waiting = read_outcome(outcome_file(sweep, store_home, uri))
    assert (waiting.events_sent, waiting.error, waiting.tracking_uri) == (0, "Connection refused", uri)
    monkeypatch.setattr("orchestrator.tracking.catch_up.WITHOUT_PROGRESS_S", 0.0)
    with pytest.raises(BadInput, match=rf"^MLflow store {uri}: cannot be used \(Connection refused\)$"):
        catch_up(sweep, store_home, uri, lambda sent, of: None)
    with proxy_of(server, port):
        catch_up(sweep, store_home, uri, lambda sent, of: None)
        assert compare_points(open_store(store_home, uri), sweep).faults == []


def test_a_server_that_dies_midway_and_comes_back_lacks_nothing(sweep: Path, store_home: Home, proxy: Proxy) -> None:
    lines = events("killed")
    write(sweep, lines[:8])
    sync = Sync(sweep, store_home, proxy.url)
    sync.pass_once()
    target, proxy.target = proxy.target, None
    write(sweep, lines[8:])
    with pytest.raises(STORE_FAULTS):
        sync.pass_once()
    proxy.target = target
    sync.pass_once()
    assert compare_points(open_store(store_home, proxy.url), sweep).faults == []


def test_a_store_that_is_put_up_anew_midway_gets_the_sweep_from_its_beginning(
    sweep: Path, store_home: Home, proxy: Proxy
) -> None:
    """Somebody restored an older database: what had been sent is no longer there, the offset says it was."""
    lines = events("anew")
    write(sweep, lines[:8])
    sync = Sync(sweep, store_home, proxy.url)
    sync.pass_once()
    client = open_store(store_home, proxy.url)
    for run in runs_of(client, "anew").values():
        client.delete_run(run.info.run_id)
    write(sweep, lines[8:])
    assert keep_trying(sync) == 1, "MLflow takes no points of a run that is deleted"
    assert compare_points(client, sweep).faults == []


def test_a_slow_server_is_asked_seldom(sweep: Path, store_home: Home, proxy: Proxy) -> None:
    """Each call may take 5 s: their number is what a slow store costs."""
    write(sweep, events("slow"))
    Sync(sweep, store_home, proxy.url).pass_once()
    compared = compare_points(open_store(store_home, None), sweep)
    assert compared.missing, "the embedded store was sent nothing"
    per_trial = 9  # run, data, parameters, points, best epoch with tags, status, where its figures go, its image grid
    whole_sweep = 16  # the saved views are among them
    assert len(proxy.calls) <= 3 * per_trial + whole_sweep, proxy.calls


def test_many_epochs_of_a_trial_are_one_call(sweep: Path, store_home: Home, proxy: Proxy) -> None:
    lines = events("long", end=False)[:3]  # the sweep, its first trial, that trial's start
    epochs = [EpochEnded(trial=0, epoch=n, metrics={"val/auroc": 0.5, "val/log_loss": 0.5}) for n in range(1, 501)]
    write(sweep, lines)
    sync = Sync(sweep, store_home, proxy.url)
    sync.pass_once()
    before = len(proxy.calls)
    write(sweep, [event for event in epochs if not isinstance(event, TrialStarted)])
    sync.pass_once()
    calls = [call.rpartition("/")[2] for call in proxy.calls[before:]]
    assert calls == ["log-batch", "set-tag"], "1,000 points are one call's most; the other says how far it is"


def test_a_locked_sqlite_is_waited_for(sweep: Path, store_home: Home) -> None:
    def impatient(connection, cursor, statement, parameters, context, executemany):
        return statement.replace("busy_timeout = 20000", "busy_timeout = 50"), parameters  # else each call waits 20 s

    lines = events("locked")
    write(sweep, lines[:8])
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    write(sweep, lines[8:])
    event.listen(Engine, "before_cursor_execute", impatient, retval=True)
    try:
        with locked(store_home.mlflow / "mlflow.db"):
            for _ in range(2):
                with pytest.raises(STORE_FAULTS) as caught:
                    sync.pass_once()
                sync.report(caught.value)
            assert sync.outcome.error == "database is locked"
    finally:
        event.remove(Engine, "before_cursor_execute", impatient)
    sync.pass_once()
    assert sync.outcome.error is None
    check_against_journal(open_store(store_home, None), "locked")


def test_an_outage_is_said_once_and_so_is_its_end() -> None:
    reach, gone, well = StoreReach("http://server", "s1"), SyncOutcome(error="Connection refused"), SyncOutcome()
    said = [reach.hear(gone, float(now_s)) for now_s in range(30)]
    line = "MLflow http://server is out of reach (Connection refused): the sweep goes on, all is sent when it is back"
    assert [text for text in said if text] == [line]
    assert said.index(line) == SAY_AFTER_S
    assert reach.faulty_for_s(30.0) == 30.0
    back = "MLflow http://server is back: what it missed is being sent"
    assert [reach.hear(well, now_s) for now_s in (30.0, 31.0)] == [back, None]
    assert reach.faulty_for_s(31.0) == 0.0
    assert reach.hear(gone, 40.0) is None
    assert reach.hear(well, 41.0) is None, "what was not said to be gone is not said to be back"


def test_a_sweep_hears_of_its_store_while_it_runs(
    sweep: Path, store_home: Home, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.tracking.store_reach.SAY_AFTER_S", 0.0)
    monkeypatch.setattr("orchestrator.tracking.process.WATCH_S", 0.05)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    lines = events("told")
    write(sweep, lines[:8])
    write_outcome(outcome_file(sweep, store_home, uri), SyncOutcome(error="of an earlier sync"))
    heard: list[str] = []
    process = SyncProcess(sweep, store_home, uri, heard.append)
    process.wait_until(lambda outcome: bool(heard))
    with proxy_of(server, port):
        process.wait_until(lambda outcome: outcome.events_sent == 8)
        write(sweep, lines[8:])
        process.close()
        assert compare_points(open_store(store_home, uri), sweep).faults == []
    out = f"MLflow {uri} is out of reach (Connection refused): the sweep goes on, all is sent when it is back"
    assert heard[:2] == [out, f"MLflow {uri} is back: what it missed is being sent"]


def test_a_sync_that_cannot_live_is_told_of_once(sweep: Path, store_home: Home, monkeypatch) -> None:
    monkeypatch.setattr("orchestrator.tracking.process.WATCH_S", 0.01)
    write(sweep, events("crashing"))
    monkeypatch.setattr("sys.executable", "/bin/false")
    heard: list[str] = []
    process = SyncProcess(sweep, store_home, None, heard.append)
    process._watch.join(timeout=30)
    process.close()
    assert len(heard) == 1
    assert "orchestrate sync" in heard[0] and "sync.log" in heard[0]


def test_who_waits_for_figures_hears_how_many_and_how_not_to(sweep: Path, store_home: Home, monkeypatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/true")
    write(sweep, events("waited-for"))
    heard: list[str] = []
    process = SyncProcess(sweep, store_home, None, heard.append)
    lines = len(events("waited-for"))
    for outcome in (
        SyncOutcome(figures_due=list(range(812)), events_sent=lines - 1),
        SyncOutcome(figures_due=list(range(812)), events_sent=lines, error="Connection refused"),
        SyncOutcome(events_sent=lines),
        SyncOutcome(figures_due=list(range(812)), events_sent=lines),
    ):
        assert heard == []
        write_outcome(outcome_file(sweep, store_home, None), outcome)
        process._say_what_is_left()
    assert len(heard) == 1 and "figures of 812 trials follow" in heard[0]
    process.close()


def test_a_sweep_that_ended_with_its_store_down_lets_go(sweep: Path, store_home: Home, monkeypatch) -> None:
    write(sweep, events("down"))
    now = {"s": 0.0}

    def later() -> float:
        now["s"] += 4.0
        return now["s"]

    monkeypatch.setattr("orchestrator.tracking.retrying.time", SimpleNamespace(monotonic=later, sleep=lambda s: None))
    sync = Sync(sweep, store_home, f"http://127.0.0.1:{free_port()}")
    follow(sync, driver_pid=-1)
    assert sync.outcome.error == "Connection refused"
    assert now["s"] == 16.0, "first failure at 4 s, given up 12 s later"


def test_figures_come_after_everything_else_and_survive_a_sync_that_died(
    sweep: Path, store_home: Home, monkeypatch
) -> None:
    write(sweep, events("figures"))

    def dying(path: Path, *about: object) -> None:
        raise MlflowException("no more")

    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.tracking.trial_figures.draw_training_curves", dying)
        with pytest.raises(MlflowException):
            Sync(sweep, store_home, None).pass_once()
    client = open_store(store_home, None)
    assert compare_points(client, sweep).faults == [], "points and statuses wait for no figure"
    assert read_outcome(outcome_file(sweep, store_home, None)).figures_due == [0, 1, 2]
    Sync(sweep, store_home, None).pass_once()
    check_against_journal(client, "figures")


def test_a_damaged_file_of_a_trial_costs_its_figure_only(sweep: Path, store_home: Home) -> None:
    write(sweep, events("damaged"))
    (sweep / "trials" / "0001" / "best_validation.npz").write_bytes(b"PK\x03\x04 torn")
    sync = Sync(sweep, store_home, None)
    sync.pass_once()
    assert sync.done
    client = open_store(store_home, None)
    run_id = runs_of(client, "damaged")["1"].info.run_id
    assert [item.path for item in client.list_artifacts(run_id, "figures")] == ["figures/training_curves.png"]
    assert compare_points(client, sweep).faults == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://user:secret@host/db", "postgresql://***@host/db"),
        ("postgresql+psycopg://user:se/cret@host/db", "postgresql+psycopg://***@host/db"),
        ("postgresql://host/db?user=u&password=secret&x=1", "postgresql://host/db?user=u&password=***&x=1"),
        ("https://user:secret@host/path", "https://***@host/path"),
        ("http://host:5000/path/a@b", "http://host:5000/path/a@b"),
        ("sqlite:////home/a@b/c:d@e.db", "sqlite:////home/a@b/c:d@e.db"),
    ],
)
def test_no_spelling_of_a_password_is_shown(given: str, shown: str) -> None:
    assert without_password(given) == shown
    assert without_password(f"cannot reach {given} today") == f"cannot reach {shown} today"
