"""Where the MLflow store of a sweep on several machines must not be."""

from pathlib import Path

import pytest

from orchestrator import cluster_sweep
from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.sweep_request import SweepRequest


def asked(home: Path, uri: str | None) -> SweepRequest:
    return SweepRequest(name="stroke_hybrid", home=Home(home), tracking_uri=uri)


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that counts as one of a network file system."""
    shared = tmp_path / "lab"
    kinds = {True: "nfs4", False: ""}
    monkeypatch.setattr(cluster_sweep, "network_type", lambda folder: kinds[folder.is_relative_to(shared)])
    return shared


def test_a_sqlite_file_on_a_network_file_system_is_refused(lab: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^ORCHESTRATE_HOME=.*: is on nfs4, .* or ORCHESTRATE_HOME to a folder on this"):
        cluster_sweep.require_safe_store(asked(lab / "home", None))
    with pytest.raises(BadInput, match=r"^MLFLOW_TRACKING_URI=sqlite:.*: is on nfs4, .* or it to a file on this"):
        cluster_sweep.require_safe_store(asked(tmp_path / "home", f"sqlite:///{lab / 'mlflow.db'}"))


def test_a_server_and_a_disk_of_ones_own_are_not(lab: Path, tmp_path: Path) -> None:
    cluster_sweep.require_safe_store(asked(lab / "home", "http://mlflow.lab:5000"))
    cluster_sweep.require_safe_store(asked(lab / "home", f"sqlite:///{tmp_path / 'mlflow.db'}"))
    cluster_sweep.require_safe_store(asked(tmp_path / "home", None))
