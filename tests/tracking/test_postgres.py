"""Sync into PostgreSQL: by its URI, through an MLflow server on it, and over a crash of the database."""

import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from points_support import compare_points
from postgres_support import PASSWORD, Postgres, postgres_programs, postgres_server
from sync_support import check_against_journal, events, write

from orchestrator.home import Home
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.outcome import outcome_file
from orchestrator.tracking.server import HOST, Address, free_port, mlflow_server
from orchestrator.tracking.store import open_store
from orchestrator.tracking.store_fault import STORE_FAULTS
from orchestrator.tracking.sync import Sync

PROGRAMS = postgres_programs()
pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(PROGRAMS is None, reason="no PostgreSQL here (Debian: apt-get install postgresql)"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None, reason="no psycopg (pip install 'psycopg[binary]')"
    ),
]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    assert PROGRAMS is not None
    with postgres_server(PROGRAMS, free_port()) as database:
        yield database


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
def test_a_sweep_is_sent_straight_into_postgresql(sweep: Path, tmp_path: Path, database: Postgres, driver: str) -> None:
    write(sweep, events(sweep.name))
    home, uri = Home(tmp_path / "home"), database.uri(driver)
    outcome = catch_up(sweep, home, uri, lambda sent, of: None)
    client = open_store(home, uri)
    assert compare_points(client, sweep).faults == []
    check_against_journal(client, sweep.name)
    assert outcome.tracking_uri == f"{driver}://***@127.0.0.1:{database.port}/postgres"
    assert PASSWORD not in outcome_file(sweep, home, uri).read_text()


def test_a_sweep_is_sent_through_a_server_on_postgresql(sweep: Path, tmp_path: Path, database: Postgres) -> None:
    write(sweep, events(sweep.name))
    home = Home(tmp_path / "home")
    with mlflow_server(database.uri(), tmp_path / "artifacts", Address(HOST, free_port())) as url:
        catch_up(sweep, home, url, lambda sent, of: None)
        assert compare_points(open_store(home, url), sweep).faults == []
        assert compare_points(open_store(home, database.uri()), sweep).faults == []


def test_a_database_that_crashes_midway_lacks_nothing_afterwards(
    sweep: Path, tmp_path: Path, database: Postgres
) -> None:
    lines = events("crash")
    write(sweep, lines[:8])
    home = Home(tmp_path / "home")
    sync = Sync(sweep, home, database.uri())
    sync.pass_once()
    database.end(signal.SIGKILL)
    write(sweep, lines[8:])
    for _ in range(2):
        with pytest.raises(STORE_FAULTS) as caught:
            sync.pass_once()
        sync.report(caught.value)
    assert "onnection" in (sync.outcome.error or "")
    assert PASSWORD not in (sync.outcome.error or "")
    database.start()
    sync.pass_once()
    assert compare_points(open_store(home, database.uri()), sweep).faults == []
