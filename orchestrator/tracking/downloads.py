"""Versions of a registered model as folders on the user's disk."""

import json
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient

from orchestrator.promotion.evidence import FOLDER
from orchestrator.tracking.promotion import stored_notes
from orchestrator.tracking.registry import FoundModel

DECISION_FILE = "decision.json"
CLASSIFIER = Path("artifacts", "classifier")  # where a version keeps what works without MLflow


def download_version(found: FoundModel, folder: Path) -> None:
    """Copy a version's files into `folder`; nothing of them is run."""
    mlflow.artifacts.download_artifacts(f"models:/{found.name}/{found.version}", dst_path=str(folder))


def write_decision(client: MlflowClient, found: FoundModel, folder: Path) -> None:
    """Put what was decided of a version until now beside its evidence; the registry keeps that as tags."""
    told = {"name": found.name, "version": found.version}
    told |= stored_notes(client.get_model_version(found.name, found.version))
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / DECISION_FILE).write_text(
        json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
