"""A task's registered versions, whose evidence is made up."""

import json
from pathlib import Path

from evidence_support import POLICY, Model, TestSet, write_evidence
from mlflow import MlflowClient

from orchestrator.promotion.evidence import EVIDENCE_FILE, FOLDER, digest_of
from orchestrator.tracking.promotion import EVIDENCE_DIGEST_TAG, Judge, aliases_of, promote

NAME = "stroke"


class Registry:
    """The versions of a task's model, in a store of its own."""

    def __init__(self, client: MlflowClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        client.create_registered_model(NAME)

    def add(self, model: Model | None, held_out: TestSet | None = None) -> str:
        """Register a version, with its evidence unless it is None, as challenger."""
        source = self.folder / f"model-{len(list(self.folder.iterdir()))}"
        source.mkdir()
        tags = {}
        if model is not None:
            evidence = write_evidence(source / FOLDER, model, held_out)
            tags[EVIDENCE_DIGEST_TAG] = digest_of(evidence.path / EVIDENCE_FILE)
        version = str(self.client.create_model_version(NAME, str(source), tags=tags).version)
        self.client.set_registered_model_alias(NAME, "challenger", version)
        return version

    def alter(self, version: int) -> None:
        """Change one prediction of a version."""
        table = self.folder / f"model-{version - 1}" / FOLDER / "predictions_test.csv"
        table.write_text(table.read_text().replace(",normal,", ",stroke,", 1))

    def promote(self, version: str, forced_because: str | None = None, judge: Judge | None = None):
        return promote(self.client, NAME, version, POLICY, "promotion.yaml", forced_because, judge=judge)

    @property
    def aliases(self) -> dict[str, str]:
        return aliases_of(self.client, NAME)

    def note(self, version: str, tag: str) -> dict:
        return json.loads(self.client.get_model_version(NAME, version).tags[f"orchestrate.{tag}"])
