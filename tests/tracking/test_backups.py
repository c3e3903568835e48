"""A store that was put back from an older backup: the sweep is sent whole again, and nothing stands twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from points_support import compare_points
from sync_support import events, runs_of, write

from orchestrator.home import Home
from orchestrator.journal import FinalistEvaluated, Registered, SeedEvaluated, SweepEnded, WinnerChosen
from orchestrator.tracking.catch_up import catch_up
from orchestrator.tracking.store import open_store
from orchestrator.tracking.sync import Sync


def copied(source: Path, target: Path) -> None:
    """Put one database's content into another, as sqlite3's .backup does."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target, timeout=30)) as other:
        one.backup(other)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was registered, one after the other."""
    made: list[str] = []

    def register(*about: object) -> Registered:
        made.append(str(len(made) + 1))
        return Registered(name="stroke_phantom", version=made[-1], aliases=[])

    monkeypatch.setattr("orchestrator.tracking.runs.register_winner", register)
    return made


@pytest.mark.parametrize("backed_up", [8, 19])  # in the middle of the second trial; all trials have ended
def test_what_a_backup_lacks_is_sent_again_once(
    sweep: Path, store_home: Home, versions: list[str], tmp_path: Path, backed_up: int
) -> None:
    database, backup = store_home.mlflow / "mlflow.db", tmp_path / "backup.db"
    finalist = FinalistEvaluated(trial=0, validation={"auroc": 0.8}, test={"auroc": 0.7})
    seeds = [
        SeedEvaluated(trial=0, epoch=3, validation={"auroc": 0.7 + 0.1 * n}, seed_index=n, seed=n) for n in range(2)
    ]
    lines = [*events(sweep.name, end=False), finalist, *seeds, WinnerChosen(trial=0), SweepEnded(state="completed")]
    (sweep / "trials" / "0000" / "best.safetensors").write_bytes(b"weights")
    (sweep / "report").mkdir()
    (sweep / "report" / "index.html").write_text("<!doctype html>")
    client = open_store(store_home, None)
    write(sweep, lines[:backed_up])
    Sync(sweep, store_home, None).pass_once()
    copied(database, backup)
    write(sweep, lines[backed_up:])
    catch_up(sweep, store_home, None, lambda sent, of: None)
    whole = shown(client, sweep.name)
    assert versions == ["1"]
    copied(backup, database)
    assert runs_of(client, sweep.name)["parent"].info.status == "RUNNING"
    assert catch_up(sweep, store_home, None, lambda sent, of: None).registered is not None
    assert versions == ["1", "2"], "the registry of that time had none"
    assert compare_without_finalists(sweep, client) == []
    assert shown(client, sweep.name) == whole
    catch_up(sweep, store_home, None, lambda sent, of: None)
    assert (versions, shown(client, sweep.name)) == (["1", "2"], whole)


def compare_without_finalists(sweep: Path, client: object) -> list[str]:
    """Return what differs from the journal, but for points that no epoch tells."""
    return [fault for fault in compare_points(client, sweep).faults if "is in no journal" not in fault]


def shown(client: object, sweep_id: str) -> dict[str, object]:
    """Return all that MLflow shows of a sweep, but for the ids of its runs."""
    found: dict[str, object] = {}
    for key, run in runs_of(client, sweep_id).items():
        histories = {
            name: sorted(
                (point.step, point.timestamp, point.value) for point in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        }
        tags = {name: text for name, text in run.data.tags.items() if name != "mlflow.parentRunId"}
        folders = ("", "figures", "images", "report", "evaluation")
        files = [len(client.list_artifacts(run.info.run_id, folder)) for folder in folders]
        found[key] = (run.info.status, histories, tags, files)
    return found
