"""Model registry: a sweep's winner becomes a version; names, aliases and versions are found again for use."""

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

from orchestrator.errors import BadInput, unknown_name
from orchestrator.journal import Registered
from orchestrator.sweep_state import SweepState
from orchestrator.tracking.logged_model import KEY_TAG, SWEEP_TAG, log_model
from orchestrator.tracking.outcome import model_key
from trainables.catalog import TASKS


@dataclass(frozen=True)
class FoundModel:
    """A version to be used: which one, and by what name it was found."""

    name: str
    version: str
    alias: str | None


def register_winner(
    client: MlflowClient, state: SweepState, weights: Path, experiment_id: str, run_id: str
) -> Registered:
    """Log the winner as a model and register it as challenger, and as champion where the task has none yet.

    Asked again for the same winner of a sweep, it finds the version that it made.
    """
    name = state.plan.registered_name
    version = _version_of_winner(client, name, state)
    if version is None:
        _ensure_registered_model(client, name)
        model_id = log_model(client, state, weights, experiment_id, run_id)
        created = client.create_model_version(
            name, f"models:/{model_id}", run_id, tags=_version_tags(state), model_id=model_id
        )
        version = str(created.version)
    known = client.get_registered_model(name).aliases
    if int(version) >= int(known.get("challenger", 0)):  # an old sweep that is sent again proposes nothing anew
        client.set_registered_model_alias(name, "challenger", version)
    if "champion" not in known:
        client.set_registered_model_alias(name, "champion", version)
    aliases = client.get_registered_model(name).aliases
    return Registered(name=name, version=version, aliases=sorted(a for a, v in aliases.items() if str(v) == version))


def find_model(client: MlflowClient, reference: str) -> FoundModel:
    """Return the version that TASK or TASK@alias means: the champion, else the challenger.

    Raises BadInput for an unknown task or alias, and for a task with no model: then the phantom's is named if there.
    """
    name, _, alias = reference.partition("@")
    _check_name(name)
    aliases = {key: str(value) for key, value in _aliases(client, name).items()}
    if alias:
        if alias not in aliases:
            raise BadInput(f"{reference}: {unknown_name('alias', alias, aliases)}")
        return FoundModel(name, aliases[alias], alias)
    for usual in ("champion", "challenger"):
        if usual in aliases:
            return FoundModel(name, aliases[usual], usual)
    phantom = f"{name}_phantom"
    if not name.endswith("_phantom") and _aliases(client, phantom):
        raise BadInput(f"{name}: no registered model; there is one trained on phantom data only: {phantom}")
    raise BadInput(f"{name}: no registered model; run a sweep of its task first (orchestrate list sweeps)")


def list_versions(client: MlflowClient, name: str) -> list[dict[str, Any]]:
    """Return the versions of a task's model, newest first, with aliases and tags. Raises BadInput."""
    _check_name(name)
    aliases = _aliases(client, name)
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
    """Load a version for prediction. Loading runs code of the version: trust the registry's writers."""
    model: PyFuncModel = mlflow.pyfunc.load_model(f"models:/{found.name}/{found.version}")
    return model


def predict(model: PyFuncModel, contents: list[bytes]) -> pd.DataFrame:
    """Return predicted, p_<class>... and error per image, also where none can be read."""
    images = pd.DataFrame({"image": contents})
    by_rows = getattr(model.unwrap_python_model(), "predict_rows", None)  # versions of old refuse no request as a whole
    frame = model.predict(images) if by_rows is None else by_rows(images)
    assert isinstance(frame, pd.DataFrame)
    return frame


def _check_name(name: str) -> None:
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
        **scores,
    }


def _version_of_winner(client: MlflowClient, name: str, state: SweepState) -> str | None:
    for version in client.search_model_versions(f"name='{name}'"):
        if (version.tags.get(SWEEP_TAG), version.tags.get(KEY_TAG)) == (state.started.sweep_id, model_key(state)):
            return str(version.version)
    return None


def _ensure_registered_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _aliases(client: MlflowClient, name: str) -> dict[str, Any]:
    try:
        return dict(client.get_registered_model(name).aliases)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
