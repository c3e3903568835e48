"""Versions of a registered model as folders on the user's disk."""

from pathlib import Path

import mlflow.artifacts

from orchestrator.tracking.registry import FoundModel

CLASSIFIER = Path("artifacts", "classifier")  # where a version keeps what works without MLflow


def download_version(found: FoundModel, folder: Path) -> None:
    """Copy a version's files into `folder`; nothing of them is run."""
    mlflow.artifacts.download_artifacts(f"models:/{found.name}/{found.version}", dst_path=str(folder))
