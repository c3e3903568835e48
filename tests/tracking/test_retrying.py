"""How long a store is asked again, and what is said of why nothing can be sent."""

import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from sqlalchemy.exc import DBAPIError, InterfaceError, ProgrammingError
from sync_support import check_against_journal, events, write

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.tracking import retrying
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import SyncOutcome, outcome_file, read_outcome
from orchestrator.tracking.retrying import SELDOM_S, follow, keep_trying
from orchestrator.tracking.store import open_store
from orchestrator.tracking.store_fault import fault_of
from orchestrator.tracking.store_reach import SAY_AFTER_S, StoreReach


def failing(name: str, when: Callable[[int], bool], error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let some calls of a client's method fail after their work; return the list that counts its calls."""
    whole, calls = getattr(MlflowClient, name), [0]

    def call(self: MlflowClient, *arguments: object, **options: object) -> object:
        result = whole(self, *arguments, **options)
        calls[0] += 1
        if when(calls[0]):
            raise error
        return result

    monkeypatch.setattr(MlflowClient, name, call)
    return calls


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that only sleeping moves."""
    clock = SimpleNamespace(now_s=0.0, slept=[])

    def sleep(for_s: float) -> None:
        clock.now_s += for_s
        clock.slept.append(for_s)

    monkeypatch.setattr(retrying, "time", SimpleNamespace(monotonic=lambda: clock.now_s, sleep=sleep))
    return clock


def test_a_store_that_answers_most_calls_only_is_caught_up_with(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    write(sweep, events(sweep.name))
    with monkeypatch.context() as patch:
        failing("log_batch", lambda nth: nth % 3 == 0, MlflowException("500"), patch)
        outcome = catch_up(sweep, store_home, None, lambda sent, of: None)
    assert outcome.events_sent == len(events(sweep.name))
    assert outcome.error is None
    check_against_journal(open_store(store_home, None), sweep.name)


def test_a_store_that_takes_nothing_for_a_minute_is_given_up_and_what_was_sent_is_kept(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    write(sweep, events(sweep.name))
    monkeypatch.setattr("orchestrator.tracking.sync.EVENTS_PER_BATCH", 8)
    failing("log_batch", lambda nth: nth > 4, MlflowException("500"), monkeypatch)
    said: list[str] = []
    with pytest.raises(BadInput, match=r"cannot be used \(500\)$"):
        catch_up(sweep, store_home, None, lambda sent, of: None, said.append)
    assert 60 <= clock.now_s < 70
    assert len(said) == 1 and "asked again" in said[0]
    assert read_outcome(outcome_file(sweep, store_home, None)).events_sent >= 8


def test_a_refusal_is_not_asked_again_for_long(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    write(sweep, events(sweep.name))
    refusal = RestException({"error_code": "PERMISSION_DENIED", "message": "no"})
    failing("log_batch", lambda nth: True, refusal, monkeypatch)
    with pytest.raises(BadInput, match=r"refuses \(PERMISSION_DENIED: no\)$"):
        catch_up(sweep, store_home, None, lambda sent, of: None)
    assert clock.now_s < 10


def test_a_refusal_at_the_end_of_an_outage_is_given_a_second_try(clock: SimpleNamespace) -> None:
    """MLflow refuses points of a run that somebody deleted during the outage: the next pass makes it anew."""
    away, refused = MlflowException("502"), RestException({"error_code": "BAD_REQUEST", "message": "deleted"})
    faults = iter([*[away] * 20, refused, None])

    def send() -> bool:
        if (fault := next(faults)) is not None:
            raise fault
        return True

    sync = SimpleNamespace(outcome=SyncOutcome(), report=fault_of, look=lambda: None)
    assert keep_trying(sync, send, lambda fault: 60.0 if fault.kind == "away" else 5.0) is None
    faults = iter([away, refused] * 100)
    assert keep_trying(sync, send, lambda fault: 60.0 if fault.kind == "away" else 5.0).kind == "away"
    assert clock.now_s < 42 + 70


def test_a_sweep_that_runs_asks_seldom_who_refuses_and_at_once_when_it_ends(
    sweep: Path, store_home: Home, monkeypatch: pytest.MonkeyPatch, clock: SimpleNamespace
) -> None:
    lines = events("seldom")
    write(sweep, lines[:5])
    sync = SimpleNamespace(outcome=SyncOutcome(), journal_ended=False, done=False, ended=False)
    tries: list[float] = []

    def refuse() -> None:
        tries.append(clock.now_s)
        raise RestException({"error_code": "UNAUTHENTICATED", "message": "who are you?"})

    def look() -> None:
        sync.journal_ended = clock.now_s >= 83.0

    sync.pass_once, sync.look, sync.report = refuse, look, fault_of
    monkeypatch.setattr(retrying.os, "getppid", lambda: 1)
    follow(sync, driver_pid=1)
    assert tries[:6] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert tries[6:8] == [10.0 + SELDOM_S, 10.0 + 2 * SELDOM_S]
    assert tries[8:] == [84.0], "the end of a sweep is not slept through"


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/w/a.png"), "local", "No space left on device (/w/a.png)"),
        (PermissionError(errno.EACCES, "Permission denied", "/w"), "local", "Permission denied (/w)"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/w/x"), "local", "No such file (/w/x)"),
        (ModuleNotFoundError("x", name="psycopg"), "local", "psycopg is not installed: pip install 'psycopg[binary]'"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "away", "Connection refused"),
        (sqlite3.OperationalError("database is locked"), "away", "database is locked"),
        (MlflowException("answered 500"), "away", "answered 500"),
        (RestException({"error_code": "RESOURCE_EXHAUSTED", "message": "x"}), "away", "RESOURCE_EXHAUSTED: x"),
        (RestException({"error_code": "UNAUTHENTICATED", "message": "x"}), "refused", "UNAUTHENTICATED: x"),
        (RestException({"error_code": "BAD_REQUEST", "message": "x"}), "refused", "BAD_REQUEST: x"),
    ],
)
def test_a_fault_is_told_as_what_it_is(error: Exception, kind: str, reason: str) -> None:
    assert (fault_of(error).kind, fault_of(error).reason) == (kind, reason)


def test_an_artifact_that_is_refused_and_a_firewall_are_told_apart_from_files() -> None:
    response = requests.Response()
    response.status_code = 403
    assert fault_of(requests.HTTPError("403 Client Error", response=response)).kind == "refused"
    error = requests.ConnectionError("no route")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied")
    assert fault_of(error).kind == "away"


@pytest.mark.parametrize(("fault", "kind"), [(InterfaceError, "away"), (ProgrammingError, "refused")])
def test_a_database_that_lost_its_connection_has_refused_nothing(fault: type[DBAPIError], kind: str) -> None:
    error = MlflowException("connection already closed", error_code=BAD_REQUEST)  # as MLflow says it
    error.__cause__ = fault("SELECT 1", {}, Exception("connection already closed"))
    assert fault_of(error).kind == kind


def test_a_file_that_is_no_database_is_no_store_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes, and no database" * 100)
    with sqlite3.connect(tmp_path / "notes.db") as connection, pytest.raises(sqlite3.DatabaseError) as caught:
        connection.execute("SELECT 1 FROM t")
    assert (fault_of(caught.value).kind, fault_of(caught.value).reason) == ("local", "file is not a database")


def test_a_full_sqlite_file_is_no_store_out_of_reach(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "full.db") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert fault_of(caught.value).kind == "local"


def test_a_refusal_and_a_full_disk_are_not_called_out_of_reach() -> None:
    said = {}
    for kind in ("refused", "local"):
        reach = StoreReach("http://server", "s1")
        fault = SyncOutcome(error="why", error_kind=kind)
        (said[kind],) = [text for now_s in range(30) if (text := reach.hear(fault, float(now_s)))]
        assert "out of reach" not in said[kind]
        assert "orchestrate sync s1" in said[kind]
        assert reach.is_hopeless(SAY_AFTER_S + 0.1), "the end of a sweep does not wait for it"
    assert said["refused"].startswith("MLflow http://server refuses (why): ")
    assert said["local"].startswith("nothing goes to MLflow from here (why): ")


def test_a_server_that_never_answers_is_given_up_in_a_minute(store_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, used in ((None, "60"), ("7", "7")):
        if given is None:
            monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
        else:
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", given)
        open_store(store_home, None)
        assert retrying.os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == used
