"""The files that decide what a version answers (code, configuration, weights), known by one digest."""

import hashlib
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from orchestrator.promotion.checks import Check
from orchestrator.promotion.evidence import digest_of
from orchestrator.tracking.store_fault import STORE_FAULTS, fault_of

MODEL_DIGEST_TAG = "orchestrate.model_files_sha256"
PARTS = ("artifacts/classifier", "registered_model.py", "MLmodel", "requirements.txt")  # MLmodel says which code runs


def model_digest(place: str) -> str:
    """Return the digest of the files below a model's place: names and contents."""
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in PARTS:
            fetched = Path(mlflow.artifacts.download_artifacts(f"{place}/{part}", dst_path=scratch))
            files = fetched.rglob("*") if fetched.is_dir() else [fetched]
            known = sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts)
            lines += [f"{path.relative_to(fetched.parent).as_posix()} {digest_of(path)}" for path in known]
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
    rule = f"code, configuration and weights as they were registered: {kept[:16]}"
    return [Check("model files", found[:16] or "cannot be read", rule, passed=found == kept)]
