"""The embedded store: made once however many ask for it at once, whole or not at all."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = "import sys; from pathlib import Path; from orchestrator.home import Home\n" \
    "from orchestrator.tracking.store import open_store\n" \
    "print(len(open_store(Home(Path(sys.argv[1])), None).search_experiments()))"  # fmt: skip


@pytest.mark.faults
def test_three_processes_that_open_a_new_store_at_once_all_find_it_whole(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=120) for process in started]
    assert [stdout.strip() for stdout, _ in ended] == ["1"] * 3, ended
    assert [path.name for path in (tmp_path / "mlflow").glob("*part*")] == []
    with sqlite3.connect(tmp_path / "mlflow" / "mlflow.db") as store:
        assert store.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        places = [place for (place,) in store.execute("SELECT artifact_location FROM experiments")]
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
    assert not [name for name in tables if name.startswith("_alembic_tmp")]
    assert places == [(tmp_path / "mlflow" / "artifacts" / "0").as_uri()], "of the working folder nothing is told"
