"""What `orchestrate models` shows of a version."""

from pathlib import Path

import pytest

from orchestrator.cli import models


@pytest.mark.parametrize("metric", ["auroc", "log_loss", "mcc", "sensitivity"])
def test_the_test_score_is_that_of_the_whole_test_side(
    metric: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store gives tags sorted by name, so the leak-free part comes first for many metrics."""
    tags = {f"validation_{metric}": "0.91", f"test_{metric}": "0.72", f"test_leak_free_{metric}": "0.55"}
    version = {"version": "1", "aliases": [], "tags": dict(sorted(tags.items()))}
    without = {"version": "2", "aliases": [], "tags": {f"validation_{metric}": "0.83", "test_leak_free_x": "0.55"}}
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    monkeypatch.setattr("orchestrator.tracking.store.open_store", lambda home, uri: None)
    monkeypatch.setattr("orchestrator.tracking.registry.list_versions", lambda client, name: [without, version])
    models.show_models("stroke")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "0." in line]
    assert [row[3:5] for row in rows] == [["0.83", "-"], ["0.91", "0.72"]]
