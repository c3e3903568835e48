"""The aliases of a task's model, and who moved them when and why: every move stays a tag on the version."""

import getpass
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from orchestrator.errors import BadInput
from orchestrator.promotion.checks import Check
from orchestrator.promotion.decision import Decision, decide
from orchestrator.promotion.evidence import FOLDER, EvidenceFolder
from orchestrator.promotion.policy import Policy
from orchestrator.tracking.promotion_lock import promotion_lock

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
EVIDENCE_DIGEST_TAG = "orchestrate.evidence_sha256"
DECISION_TAG = "orchestrate.decision"
MOVE_TAG = "orchestrate.move_"  # and a number

Move = Literal["promoted", "forced", "rolled back"]


@dataclass(frozen=True)
class Promotion:
    """What was decided of a version, and which champion it followed; `moved` is None where nothing was."""

    name: str
    version: str
    decision: Decision
    champion: str | None  # before
    moved: Move | None


def promote(
    client: MlflowClient, name: str, version: str, policy: Policy, policy_name: str, forced_because: str | None = None
) -> Promotion:
    """Ask the policy whether a version may be champion, and move the aliases where it may, or where it is forced.

    Raises BadInput for a version that is champion already or keeps no evidence (unless forced), PromotionRefused while
    another promotion of the task is under way.
    """
    who = _who()
    with promotion_lock(client, name, who):
        aliases = aliases_of(client, name)
        champion = aliases.get(CHAMPION)
        if version == champion:
            raise BadInput(f"{name} version {version} is the champion already")
        try:
            decision = _decide(client, name, version, champion, policy)
        except BadInput as error:
            if forced_because is None:
                raise
            decision = Decision([Check("evidence", str(error), "a version keeps evidence", passed=False)])
        how: Move | None = "promoted" if decision.passed else ("forced" if forced_because is not None else None)
        if how is not None:
            _move(client, name, version, champion, how, who, forced_because or "")
            if aliases.get(CHALLENGER) == version:
                client.delete_registered_model_alias(name, CHALLENGER)
        note = {
            "at": _now(),
            "by": who,
            "policy": policy_name,
            "champion": champion,
            "p_value": decision.p_value,
            "passed": decision.passed,
            "checks": [asdict(check) for check in decision.checks],
        }
        client.set_model_version_tag(name, version, DECISION_TAG, json.dumps(note, ensure_ascii=False))
        return Promotion(name, version, decision, champion, how)


def roll_back(client: MlflowClient, name: str) -> tuple[str, str]:
    """Let the champion before this one be champion again; return the versions (now, before). Raises BadInput."""
    who = _who()
    with promotion_lock(client, name, who):
        aliases = aliases_of(client, name)
        previous, champion = aliases.get(PREVIOUS), aliases.get(CHAMPION)
        if previous is None or champion is None:
            lacking = "champion" if champion is None else "champion before this one"
            raise BadInput(f"{name}: there is no {lacking}; orchestrate models {name} lists versions")
        _move(client, name, previous, champion, "rolled back", who, "")
        return previous, champion


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """Return alias -> version; nothing for a model that is not registered."""
    try:
        return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def evidence_digest(client: MlflowClient, name: str, version: str) -> str | None:
    """Return the digest that the registry keeps of a version's evidence, None where it has none."""
    digest: str | None = client.get_model_version(name, version).tags.get(EVIDENCE_DIGEST_TAG)
    return digest


@contextmanager
def evidence_of(client: MlflowClient, name: str, version: str) -> Iterator[EvidenceFolder]:
    """Yield a version's evidence, fetched into a folder that goes with the block. Raises BadInput where it has none."""
    if evidence_digest(client, name, version) is None:
        raise BadInput(f"{name} version {version}: keeps no evidence; only promote --force --reason makes it champion")
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}/{FOLDER}", dst_path=folder)
        yield EvidenceFolder(Path(path))


def _decide(client: MlflowClient, name: str, version: str, champion: str | None, policy: Policy) -> Decision:
    with evidence_of(client, name, version) as challenger:
        if champion is None:
            return decide(policy, challenger)
        try:
            with evidence_of(client, name, champion) as of_champion:
                earlier = _earlier(client, name, version, champion)
                return decide(policy, challenger, of_champion, earlier)
        except BadInput as error:
            alone = decide(policy, challenger)
            rule = "the champion's evidence, to compare with; or --force --reason"
            return Decision([*alone.checks, Check("against the champion", str(error), rule, passed=False)])


def _earlier(client: MlflowClient, name: str, version: str, champion: str) -> dict[str, float]:
    """Return version -> p-value of the others that challenged this champion."""
    found = {}
    for other in client.search_model_versions(f"name='{name}'"):
        note = _decision_note(other)
        is_other = str(other.version) != version and note.get("champion") == champion
        if is_other and isinstance(note.get("p_value"), float):
            found[str(other.version)] = note["p_value"]
    return found


def _decision_note(version: ModelVersion) -> dict[str, Any]:
    try:
        note = json.loads(version.tags.get(DECISION_TAG, "{}"))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _move(client: MlflowClient, name: str, version: str, champion: str | None, how: Move, who: str, why: str) -> None:
    """Let a version be champion and the one before previous, and say so on the version; tags first, they tell of it."""
    moves = [key for key in client.get_model_version(name, version).tags if key.startswith(MOVE_TAG)]
    note = {"how": how, "at": _now(), "by": who, "from": champion, "reason": why}
    client.set_model_version_tag(name, version, f"{MOVE_TAG}{len(moves) + 1}", json.dumps(note, ensure_ascii=False))
    if champion is not None:
        client.set_registered_model_alias(name, PREVIOUS, champion)
    client.set_registered_model_alias(name, CHAMPION, version)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
