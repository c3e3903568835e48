"""Versions of a registered model as folders on the user's disk."""

from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient

from orchestrator.errors import BadInput, unknown_name
from orchestrator.tracking.registry import FoundModel, find_model, list_versions

CLASSIFIER = Path("artifacts", "classifier")  # where a version keeps what works without MLflow


def find_version(client: MlflowClient, task: str, given: str | None) -> FoundModel:
    """Return the version of a number or an alias; of neither, what `predict` would take. Raises BadInput."""
    if given is None:
        return find_model(client, task)
    if not given.isdecimal():
        return find_model(client, f"{task}@{given}")
    known = [version["version"] for version in list_versions(client, task)]
    if given not in known:
        raise BadInput(f"{task}: {unknown_name('version', given, known)}")
    return FoundModel(task, given, None)


def download_version(found: FoundModel, folder: Path) -> None:
    """Copy a version's files into `folder`; nothing of them is run."""
    mlflow.artifacts.download_artifacts(f"models:/{found.name}/{found.version}", dst_path=str(folder))
