"""Versions of a registered model as folders on the user's disk."""

from pathlib import Path

import mlflow.artifacts

from orchestrator.tracking.registry import FoundModel

CLASSIFIER = Path("artifacts", "classifier")  # where a version keeps what works without MLflow


def download_version(found: FoundModel, folder: Path) -> None:
    """Copy a version's files into `folder`; nothing of them is run."""
    mlflow.artifacts.download_artifacts(f"models:/{found.name}/{found.version}", dst_path=str(folder))


def download_weights(found: FoundModel, folder: Path) -> Path:
    """Copy a version's weights into `folder` and return the file."""
    source = f"models:/{found.name}/{found.version}/{CLASSIFIER.as_posix()}/weights.safetensors"
    return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(folder)))
