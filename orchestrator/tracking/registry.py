"""Model registry: a sweep's winner becomes a version; names, aliases and versions are found again for use."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from orchestrator.errors import BadInput, PromotionRefused, unknown_name
from orchestrator.journal import Registered
from orchestrator.promotion.bundle import write_bundle
from orchestrator.promotion.evidence import FOLDER
from orchestrator.promotion.policy import read_policy
from orchestrator.sweep_state import SweepState
from orchestrator.tracking.logged_model import KEY_TAG, SWEEP_TAG, evidence_digest_of, log_model
from orchestrator.tracking.model_files import MODEL_DIGEST_TAG, model_digest
from orchestrator.tracking.outcome import model_key
from orchestrator.tracking.promotion import (
    CHALLENGER,
    CHAMPION,
    EVIDENCE_DIGEST_TAG,
    MOST_DESCRIPTION_CHARACTERS,
    Judge,
    aliases_of,
    promote,
    stored_decision,
)
from orchestrator.tracking.store_fault import STORE_FAULTS
from trainables.catalog import TASKS
from trainables.evaluation.trial_files import BEST_WEIGHTS

LOCK_TRIES, LOCK_WAIT_S = 10, 2.0
JUDGED_AT_TAG = "orchestrate.judged_at"  # seconds since 1970, when the winner was evaluated on test


@dataclass(frozen=True)
class FoundModel:
    """A version to be used: which one, and by what name it was found."""

    name: str
    version: str
    alias: str | None


def register_winner(
    client: MlflowClient,
    state: SweepState,
    sweep: Path,
    experiment_id: str,
    run_id: str,
    policy: Path,
    judge: Judge | None = None,
) -> Registered:
    """Register the winner with its evidence as challenger, and ask the policy whether it may be champion.

    Asked again for the same winner of a sweep, it finds the version that it made, and decides nothing anew. `judge` as
    in `promote`.
    """
    name = state.plan.registered_name
    found = _version_of_winner(client, name, state)
    if found is None:
        _ensure_registered_model(client, name)
        found = _create_version(client, state, sweep, experiment_id, run_id)
    version = str(found.version)
    aliases = aliases_of(client, name)
    words = stored_decision(found)
    if not words and aliases.get(CHAMPION) != version:
        if _is_newer(client, name, aliases.get(CHALLENGER), version, state):
            words = f"not proposed: version {aliases[CHALLENGER]} is a newer challenger"
        else:
            client.set_registered_model_alias(name, CHALLENGER, version)
            words = _ask_policy(client, name, version, policy, state, judge)
    own = sorted(alias for alias, number in aliases_of(client, name).items() if number == version)
    return Registered(name=name, version=version, aliases=own, decision=words)


def _is_newer(client: MlflowClient, name: str, challenger: str | None, version: str, state: SweepState) -> bool:
    """Tell whether the challenger was judged later than this winner, whose sweep may have been sent long after it."""
    if challenger is None or challenger == version:
        return False
    judged_at = client.get_model_version(name, challenger).tags.get(JUDGED_AT_TAG)
    if judged_at is None:  # registered before versions had it
        return int(challenger) > int(version)
    return float(judged_at) > _judged_at(state)


def _judged_at(state: SweepState) -> float:
    assert state.winner is not None
    return state.finalists[state.winner].time


def _create_version(
    client: MlflowClient, state: SweepState, sweep: Path, experiment_id: str, run_id: str
) -> ModelVersion:
    """Log the model, its evidence beside it, and make a version of it."""
    assert state.winner is not None
    weights = sweep / "trials" / f"{state.winner:04d}" / BEST_WEIGHTS
    tags = _version_tags(state)
    with tempfile.TemporaryDirectory() as temporary:
        evidence: Path | None = Path(temporary, FOLDER)
        assert evidence is not None
        try:
            card = write_bundle(evidence, sweep, state).card
        except BadInput:  # the files of its evaluation are gone: it may be used, and is not promoted
            evidence = None
        model_id = log_model(client, state, weights, evidence, experiment_id, run_id)
        digest = evidence_digest_of(client, model_id)  # that of an earlier try, where it was logged then
        if digest is not None:
            tags[EVIDENCE_DIGEST_TAG] = digest
        tags[MODEL_DIGEST_TAG] = model_digest(client.get_logged_model(model_id).artifact_location)
    description = None if evidence is None else card[:MOST_DESCRIPTION_CHARACTERS]
    return client.create_model_version(
        state.plan.registered_name,
        f"models:/{model_id}",
        run_id,
        tags=tags,
        description=description,
        model_id=model_id,
    )


def _ask_policy(
    client: MlflowClient, name: str, version: str, policy: Path, state: SweepState, judge: Judge | None
) -> str:
    """Return in words what became of a proposal; it stays challenger where it cannot be judged."""
    owner = f"{state.started.sweep_id} {model_key(state)}"  # one that was broken off gets in again
    words = ""
    for _ in range(LOCK_TRIES):
        try:
            rules = read_policy(policy, state.plan.task)
            return promote(client, name, version, rules, policy.name, owner=owner, judge=judge).decision.in_words()
        except BadInput as error:
            return f"not judged: {error}"
        except PromotionRefused as error:  # another sweep's winner is being judged
            words = f"not judged: {error}"
            time.sleep(LOCK_WAIT_S)
    return words


def find_model(client: MlflowClient, reference: str) -> FoundModel:
    """Return the version that TASK, TASK@alias or TASK@number means: of TASK the champion, else the challenger.

    Raises BadInput for an unknown task, alias or number, and for a task with no model: then the phantom's is named if
    there.
    """
    name, at, alias = reference.partition("@")
    check_name(name)
    aliases = aliases_of(client, name)
    if at and not alias:
        raise BadInput(f"{reference}: expected an alias or a number after the @, or the task alone")
    if alias.isdecimal():
        known = [str(version.version) for version in client.search_model_versions(f"name='{name}'")]
        if alias not in known:
            raise BadInput(f"{reference}: {unknown_name('version', alias, known)}")
        return FoundModel(name, alias, None)
    if alias in aliases:
        return FoundModel(name, aliases[alias], alias)
    if alias and aliases:
        raise BadInput(f"{reference}: {unknown_name('alias', alias, aliases)}")
    for usual in (CHAMPION, CHALLENGER):
        if usual in aliases:
            return FoundModel(name, aliases[usual], usual)
    phantom = f"{name}_phantom"
    if not name.endswith("_phantom") and aliases_of(client, phantom):
        raise BadInput(f"{name}: no registered model; there is one trained on phantom data only: {phantom}")
    raise BadInput(f"{name}: no registered model; run a sweep of its task first (orchestrate list sweeps)")


def find_versions(client: MlflowClient, reference: str, which: str | None) -> list[FoundModel]:
    """Return versions to be compared: the one that a reference names, else those of `which` ("all", or "1,3").

    Without either they are the champion and the challenger, as far as there are. Raises BadInput as `find_model`.
    """
    name, at, _ = reference.partition("@")
    if at and which is not None:
        raise BadInput(f"--versions {which}: {reference} names one already; leave one of the two out")
    if at:
        return [find_model(client, reference)]
    check_name(name)
    if which is None or which == "all":
        usual = [alias for alias in (CHAMPION, CHALLENGER) if alias in aliases_of(client, name)]
        names = usual if which is None else [version["version"] for version in list_versions(client, name)]
        return _once([find_model(client, f"{name}@{one}") for one in names]) or [find_model(client, name)]
    parts = [part.strip() for part in which.split(",")]
    if not all(parts):
        raise BadInput(f"--versions {which}: expected all, or numbers such as 1,3")
    return _once([find_model(client, f"{name}@{part}") for part in parts])


def _once(found: Sequence[FoundModel]) -> list[FoundModel]:
    """Return each version once, as it was named first: it may have two aliases."""
    return list({one.version: one for one in reversed(found)}.values())[::-1]


def list_versions(client: MlflowClient, name: str) -> list[dict[str, Any]]:
    """Return the versions of a task's model, newest first, with aliases and tags. Raises BadInput."""
    check_name(name)
    aliases = aliases_of(client, name)
    versions: list[ModelVersion] = list(client.search_model_versions(f"name='{name}'"))
    return [
        {
            "name": name,
            "version": str(version.version),
            "aliases": sorted(alias for alias, number in aliases.items() if str(number) == str(version.version)),
            "run_id": version.run_id,
            "tags": {key.removeprefix("orchestrate."): value for key, value in sorted(version.tags.items())},
        }
        for version in sorted(versions, key=lambda version: int(version.version), reverse=True)
    ]


def load_model(found: FoundModel) -> PyFuncModel:
    """Load a version for prediction. Loading runs code of the version: trust the registry's writers.

    Raises BadInput where its files are damaged.
    """
    try:
        model: PyFuncModel = mlflow.pyfunc.load_model(f"models:/{found.name}/{found.version}")
    except STORE_FAULTS:
        raise
    except Exception as error:  # what its code and the readers of its files ran into
        reference = f"{found.name}@{found.version}"
        raise BadInput(
            f"{found.name} version {found.version}: its model cannot be loaded ({type(error).__name__}); are its files "
            f"those that were registered? orchestrate verify {reference}"
        ) from error
    return model


def inputs_of(model: PyFuncModel) -> list[str]:
    """Return the names of a case's images, in the order that the model takes them."""
    metadata: Any = model.metadata
    schema = metadata.get_input_schema()
    return ["image"] if schema is None else list(schema.input_names())


def predict(model: PyFuncModel, cases: Sequence[bytes | Sequence[bytes]]) -> pd.DataFrame:
    """Return predicted, p_<class>... and error per case, also where none can be read. A case is its images in order."""
    rows = [(case,) if isinstance(case, bytes) else tuple(case) for case in cases]
    images = pd.DataFrame(rows, columns=inputs_of(model))
    by_rows = getattr(model.unwrap_python_model(), "predict_rows", None)  # versions of old refuse no request as a whole
    frame = model.predict(images) if by_rows is None else by_rows(images)
    assert isinstance(frame, pd.DataFrame)
    return frame


def check_name(name: str) -> None:
    """Raise BadInput for a name that no task's model has."""
    known = {*TASKS, *(f"{task}_phantom" for task in TASKS)}
    if name not in known:
        raise BadInput(unknown_name("task", name, known))


def _version_tags(state: SweepState) -> dict[str, str]:
    assert state.winner is not None
    plan, trial = state.plan, state.trials[state.winner]
    finalist = state.finalists[state.winner]
    scores = {
        f"orchestrate.{side}_{plan.metric}": f"{metrics[plan.metric]:.6f}"
        for side, metrics in (
            ("validation", finalist.validation),
            ("test", finalist.test),
            ("test_leak_free", finalist.test_leak_free or {}),
        )
        if metrics.get(plan.metric) is not None
    }
    return {
        SWEEP_TAG: state.started.sweep_id,
        KEY_TAG: model_key(state),
        "orchestrate.trial_id": str(trial.number),
        "orchestrate.architecture": trial.architecture,
        "orchestrate.plan_digest": state.plan_digest,
        "orchestrate.data_digest": plan.data.digest,
        "orchestrate.split_digest": plan.data.split_digest,
        "orchestrate.data_kind": plan.data.kind,
        "orchestrate.split": plan.data.split,
        "orchestrate.leaking_test_images": str(sum(plan.data.leaks.values())),
        JUDGED_AT_TAG: f"{_judged_at(state):.3f}",
        **scores,
    }


def _version_of_winner(client: MlflowClient, name: str, state: SweepState) -> ModelVersion | None:
    for version in client.search_model_versions(f"name='{name}'"):
        if (version.tags.get(SWEEP_TAG), version.tags.get(KEY_TAG)) == (state.started.sweep_id, model_key(state)):
            return version
    return None


def _ensure_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
