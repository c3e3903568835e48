"""The files that decide what a version answers (code, configuration, weights, environment), known by one digest."""

import hashlib
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from orchestrator.promotion.checks import Check
from orchestrator.promotion.evidence import FOLDER, digest_of
from orchestrator.tracking.store_fault import STORE_FAULTS, fault_of

MODEL_DIGEST_TAG = "orchestrate.files_sha256"
BESIDE = (FOLDER, "registered_model_meta")  # evidence has a digest of its own; MLflow notes who asks


def model_digest(place: str) -> str:
    """Return the digest of the files below a model's place: names and contents."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(mlflow.artifacts.download_artifacts(place, dst_path=scratch))
        files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
        known = [file for file in files if file.parts[0] not in BESIDE and "__pycache__" not in file.parts]
        lines = [f"{file.as_posix()} {digest_of(root / file)}" for file in known]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def model_checks(client: MlflowClient, name: str, version: str) -> list[Check]:
    """Return whether a version's files are those that were registered; nothing for a version older than the digest."""
    kept = client.get_model_version(name, version).tags.get(MODEL_DIGEST_TAG)
    if kept is None:
        return []
    try:
        found = model_digest(f"models:/{name}/{version}")
    except STORE_FAULTS as error:
        if fault_of(error).kind == "away":
            raise
        found = ""
    rule = f"code, configuration, weights and environment as they were registered: {kept[:16]}"
    return [Check("model files", found[:16] or "cannot be read", rule, passed=found == kept)]
