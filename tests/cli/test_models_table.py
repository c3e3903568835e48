"""What `orchestrate models` shows of a version, and what its predictions note of test images."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from orchestrator.cli import models, predict
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.test_ledger import read_ledger
from orchestrator.tracking.registry import FoundModel


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


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """One sweep in a home of its own, as `predict` sees it."""
    plan = SimpleNamespace(data=SimpleNamespace(test_digest="t"))
    state = SimpleNamespace(started=SimpleNamespace(sweep_id="sweep-1"), plan=plan)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("orchestrator.test_predictions.all_sweeps", lambda home: ([state], []))
    return state


def test_predicting_test_images_is_noted_before_the_table_is_shown(
    sweep: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, other = tmp_path / "a.png", tmp_path / "b.png"
    image.write_bytes(b"a")
    other.write_bytes(b"b")
    home = Home(tmp_path / "home")
    (home.sweeps / "sweep-1").mkdir(parents=True)
    (home.sweeps / "sweep-1/test.csv").write_text(f"path,sha256\nx.png,{hashlib.sha256(b'a').hexdigest()}\n")
    registry = "orchestrator.tracking.registry"
    monkeypatch.setattr("orchestrator.tracking.store.open_store", lambda home, uri: None)
    monkeypatch.setattr(f"{registry}.find_model", lambda client, name: FoundModel("stroke", "3", "champion"))
    monkeypatch.setattr(f"{registry}.load_model", lambda found: None)
    monkeypatch.setattr(f"{registry}.inputs_of", lambda model: ["image"])
    row = {"predicted": "stroke", "p_stroke": 0.9, "error": ""}
    monkeypatch.setattr(f"{registry}.predict", lambda model, contents: pd.DataFrame([row] * len(contents)))
    predict.predict("stroke", [str(other)])
    assert not home.test_ledger.exists()
    predict.predict("stroke", [str(image), str(other)])
    (line,) = read_ledger(home.test_ledger, "t")
    assert (line.who, line.model, line.images) == ("predict", "stroke v3", 1)
    capsys.readouterr()
    monkeypatch.setattr("orchestrator.test_ledger.record_test_read", _disk_full)
    with pytest.raises(BadInput, match="the ledger of test reads cannot be written"):
        predict.predict("stroke", [str(image)])
    assert not capsys.readouterr().out


def _disk_full(*about: object) -> None:
    raise OSError(28, "No space left on device")
