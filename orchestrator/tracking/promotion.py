"""The aliases of a task's model, and who moved them when and why: every move stays a tag on the version."""

import contextlib
import getpass
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from orchestrator.errors import BadInput, EvidenceAltered, PromotionRefused
from orchestrator.promotion.checks import Check, RivalAnswers, on_same_images
from orchestrator.promotion.decision import Decision, decide
from orchestrator.promotion.evidence import EVIDENCE_FILE, FOLDER, EvidenceFolder, digest_of
from orchestrator.promotion.policy import Policy
from orchestrator.promotion.verification import check_files
from orchestrator.tracking.model_files import model_checks
from orchestrator.tracking.promotion_lock import promotion_lock
from orchestrator.tracking.store_fault import STORE_FAULTS, fault_of

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
EVIDENCE_DIGEST_TAG = "orchestrate.evidence_sha256"
DECISION_TAG = "orchestrate.decision"
MOVE_TAG = "orchestrate.move_"  # and a number
P_VALUE_TAG = "orchestrate.p_against_"  # and the version of the champion that was challenged
DECISION_LINE = "**Promotion:**"
MOST_DESCRIPTION_CHARACTERS = 5000

Move = Literal["promoted", "forced", "rolled back"]
Judge = Callable[[str, EvidenceFolder], RivalAnswers]  # champion, challenger -> what the champion says of its images


@dataclass(frozen=True)
class Promotion:
    """What was decided of a version, and which champion it followed; `moved` is None where nothing was."""

    name: str
    version: str
    decision: Decision
    rival: str | None  # the champion that it was held against
    moved: Move | None


def promote(
    client: MlflowClient,
    name: str,
    version: str,
    policy: Policy,
    policy_name: str,
    forced_because: str | None = None,
    owner: str | None = None,
    judge: Judge | None = None,
) -> Promotion:
    """Ask the policy whether a version may be champion, and move the aliases where it may, or where it is forced.

    Where the champion was deleted, the one before it is what to beat. `judge` lets a champion that was tested on other
    images judge the challenger's. `owner` as in `promotion_lock`. Raises BadInput
    for a version that is champion already, or keeps no evidence that holds (unless forced), PromotionRefused while
    another promotion of the task is under way.
    """
    who = _who()
    with promotion_lock(client, name, who, owner) as is_held:
        _finish_move(client, name)  # of one who was broken off
        aliases = aliases_of(client, name)
        champion = aliases.get(CHAMPION)
        if version == champion:
            raise BadInput(f"{name} version {version} is the champion already")
        rival = champion or aliases.get(PREVIOUS)
        rival = None if rival == version else rival
        try:
            decision = _decide(client, name, version, rival, policy, judge)
            decision = Decision([*model_checks(client, name, version), *decision.checks], decision.p_value)
        except BadInput as error:
            if forced_because is None:
                raise
            decision = Decision([Check("evidence", str(error), "a version keeps evidence that holds", passed=False)])
        how: Move | None = "promoted" if decision.passed else ("forced" if forced_because is not None else None)
        if not is_held():
            raise PromotionRefused(f"{name}: deciding took too long, and another promotion began; try again")
        _note_decision(client, name, version, decision, rival, policy_name, who)
        if how is not None:
            _note_move(client, name, version, champion, how, who, forced_because or "", decision)
            client.set_registered_model_alias(name, CHAMPION, version)
            _finish_move(client, name)
        return Promotion(name, version, decision, rival, how)


def roll_back(client: MlflowClient, name: str) -> tuple[str, str | None]:
    """Let the champion before this one be champion again; return the versions (now, before). Raises BadInput."""
    who = _who()
    with promotion_lock(client, name, who):
        begun = _finish_move(client, name)
        aliases = aliases_of(client, name)
        if begun is not None and begun["how"] == "rolled back":  # this one, whose first try was broken off
            return aliases[CHAMPION], begun["from"]
        previous, champion = aliases.get(PREVIOUS), aliases.get(CHAMPION)
        if previous is None or previous == champion:
            raise BadInput(f"{name}: there is no champion before this one; orchestrate models {name} lists versions")
        _note_move(client, name, previous, champion, "rolled back", who, "", None)
        client.set_registered_model_alias(name, CHAMPION, previous)
        _finish_move(client, name)
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
def evidence_of(client: MlflowClient, name: str, version: str, must_hold: bool = True) -> Iterator[EvidenceFolder]:
    """Yield a version's evidence, fetched into a folder that goes with the block.

    Raises BadInput where it has none, EvidenceAltered where its files are not those that were registered (`must_hold`).
    """
    digest = evidence_digest(client, name, version)
    if digest is None:
        raise BadInput(f"{name} version {version}: keeps no evidence; only promote --force --reason makes it champion")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}/{FOLDER}", dst_path=scratch)
        except STORE_FAULTS as error:
            if fault_of(error).kind == "away":
                raise
            raise BadInput(f"{name} version {version}: its evidence cannot be read; put its files back") from error
        folder = EvidenceFolder(Path(path))
        is_same = digest_of(folder.path / EVIDENCE_FILE) == digest  # else it may be no JSON any more
        if must_hold and not (is_same and all(check.passed for check in check_files(folder, digest))):
            raise EvidenceAltered(
                f"{name} version {version}: its evidence was changed: orchestrate verify {name}@{version}"
            )
        yield folder


def stored_notes(version: ModelVersion) -> dict[str, Any]:
    """Return what was decided of a version, all checks with it, and its moves, oldest first."""
    return {"decision": _note_of(version, DECISION_TAG) or None, "moves": _moves(version)}


def stored_decision(version: ModelVersion) -> str:
    """Return in words what was decided of a version; empty where nothing was, or where it was broken off before the
    aliases moved: then it is to be decided again.
    """
    note = _note_of(version, DECISION_TAG)
    was_moved = any(move["finished"] for move in _moves(version))
    return "" if note.get("passed") and not was_moved else str(note.get("words", ""))


def _decide(
    client: MlflowClient, name: str, version: str, rival: str | None, policy: Policy, judge: Judge | None
) -> Decision:
    with evidence_of(client, name, version) as challenger:
        if rival is None:
            return decide(policy, challenger)
        try:
            with evidence_of(client, name, rival) as of_rival:
                apart = not on_same_images(challenger, of_rival)
                answers = judge(rival, challenger) if judge is not None and apart else None
                return decide(policy, challenger, of_rival, _earlier(client, name, version, rival), answers)
        except BadInput as error:
            alone = decide(policy, challenger)
            rule = "the champion's evidence, to compare with; or --force --reason"
            return Decision([*alone.checks, Check("against the champion", str(error), rule, passed=False)])


def _earlier(client: MlflowClient, name: str, version: str, champion: str) -> dict[str, float]:
    """Return version -> p-value of the others that challenged this champion."""
    found = {}
    for other in client.search_model_versions(f"name='{name}'"):
        with contextlib.suppress(KeyError, ValueError):
            if str(other.version) != version:
                found[str(other.version)] = float(other.tags[f"{P_VALUE_TAG}{champion}"])
    return found


def _note_decision(
    client: MlflowClient, name: str, version: str, decision: Decision, rival: str | None, policy: str, who: str
) -> None:
    """Keep the decision on the version, its p-value for those who challenge later, and a line in its description."""
    if decision.p_value is not None:
        client.set_model_version_tag(name, version, f"{P_VALUE_TAG}{rival}", repr(decision.p_value))
    at = _now()
    note = {"at": at, "by": who, "policy": policy, "against": rival, "words": decision.in_words(), **_told(decision)}
    client.set_model_version_tag(name, version, DECISION_TAG, json.dumps(note, ensure_ascii=False))
    card = client.get_model_version(name, version).description or ""
    if card.startswith(DECISION_LINE):
        card = card.partition("\n\n")[2]
    words = f"{DECISION_LINE} {decision.in_words()} ({at})\n\n{card}"
    client.update_model_version(name, version, words[:MOST_DESCRIPTION_CHARACTERS])


def _told(decision: Decision) -> dict[str, Any]:
    return {"passed": decision.passed, "checks": [asdict(check) for check in decision.checks]}


def _note_of(version: ModelVersion, tag: str) -> dict[str, Any]:
    try:
        note = json.loads(version.tags.get(tag, "{}"))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def _note_move(
    client: MlflowClient,
    name: str,
    version: str,
    champion: str | None,
    how: Move,
    who: str,
    why: str,
    decision: Decision | None,
) -> None:
    """Keep on a version that it becomes champion, before any alias moves; one that was broken off is noted anew."""
    notes = _moves(client.get_model_version(name, version))
    finished = sum(bool(note["finished"]) for note in notes)
    report = None if decision is None else _told(decision)
    note = {"how": how, "at": _now(), "by": who, "from": champion, "reason": why, "report": report, "finished": False}
    _set_move(client, name, version, finished + 1, note)


def _finish_move(client: MlflowClient, name: str) -> dict[str, Any] | None:
    """Move the other aliases as the champion's newest note says, and return it; None where all of it was done."""
    aliases = aliases_of(client, name)
    champion = aliases.get(CHAMPION)
    notes = [] if champion is None else _moves(client.get_model_version(name, champion))
    if champion is None or not notes or notes[-1]["finished"]:
        return None
    if notes[-1]["from"] is not None:
        client.set_registered_model_alias(name, PREVIOUS, notes[-1]["from"])
    elif aliases.get(PREVIOUS) == champion:
        client.delete_registered_model_alias(name, PREVIOUS)
    if aliases.get(CHALLENGER) == champion:
        client.delete_registered_model_alias(name, CHALLENGER)
    _set_move(client, name, champion, len(notes), notes[-1] | {"finished": True})
    return notes[-1]


def _moves(version: ModelVersion) -> list[dict[str, Any]]:
    """Return the notes of a version's moves, oldest first."""
    numbers = sorted(int(key.removeprefix(MOVE_TAG)) for key in version.tags if key.startswith(MOVE_TAG))
    return [{"finished": True, "from": None} | _note_of(version, f"{MOVE_TAG}{number}") for number in numbers]


def _set_move(client: MlflowClient, name: str, version: str, number: int, note: dict[str, Any]) -> None:
    client.set_model_version_tag(name, version, f"{MOVE_TAG}{number}", json.dumps(note, ensure_ascii=False))


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
