"""Model registry: a sweep's winner becomes a version; names, aliases and versions are found again for use."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from orchestrator.errors import BadInput, unknown_name
from orchestrator.journal import Registered
from orchestrator.sweep_state import SweepState
from orchestrator.tracking import registered_model_file
from orchestrator.tracking.outcome import model_key
from trainables.catalog import TASKS
from trainables.packaging import runtime_requirements, write_standalone

SWEEP_TAG = "orchestrate.sweep_id"
KEY_TAG = "orchestrate.model"  # which winner of the sweep


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
        model_id = _log_model(client, state, weights, experiment_id, run_id)
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
    """Return predicted, p_<class>... and error per image."""
    frame = model.predict(pd.DataFrame({"image": contents}))
    assert isinstance(frame, pd.DataFrame)
    return frame


def _check_name(name: str) -> None:
    known = {*TASKS, *(f"{task}_phantom" for task in TASKS)}
    if name not in known:
        raise BadInput(unknown_name("task", name, known))


def _log_model(client: MlflowClient, state: SweepState, weights: Path, experiment_id: str, run_id: str) -> str:
    """Log the winner's files as a LoggedModel of its trial's run and return the model's id."""
    assert state.winner is not None
    trial, sweep_id = state.trials[state.winner], state.started.sweep_id
    own = f"tags.`{SWEEP_TAG}` = '{sweep_id}' AND tags.`{KEY_TAG}` = '{model_key(state)}'"
    known = {found.status: found for found in client.search_logged_models([experiment_id], filter_string=own)}
    if LoggedModelStatus.READY in known:
        return str(known[LoggedModelStatus.READY].model_id)
    logged = known.get(LoggedModelStatus.PENDING) or client.create_logged_model(  # one that was broken off goes on
        experiment_id,
        name=_logged_model_name(state.plan.task, trial.architecture),
        source_run_id=run_id,
        tags={SWEEP_TAG: sweep_id, KEY_TAG: model_key(state)},
        model_type="classifier",
    )
    with tempfile.TemporaryDirectory() as temporary:
        classifier, model = Path(temporary, "classifier"), Path(temporary, "model")
        write_standalone(
            classifier,
            architecture=trial.architecture,
            hyperparameters=trial.hyperparameters,
            classes=state.plan.classes,
            weights=weights,
        )
        mlflow.pyfunc.save_model(
            model,
            python_model=str(registered_model_file()),
            artifacts={"classifier": str(classifier)},
            signature=_signature(state.plan.classes),
            input_example=None,  # an example would be an image of a person, and MLflow would run the model on it
            pip_requirements=["mlflow==" + mlflow.__version__, *runtime_requirements()],
        )
        _forget_local_paths(model)
        client.log_model_artifacts(logged.model_id, str(model))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=trial.best.epoch if trial.best else 0)])
    return str(logged.model_id)


def _logged_model_name(task: str, architecture: str) -> str:
    """Return a name that MLflow takes: it refuses the slash and the dots of timm/<name>, which tags keep."""
    return re.sub(r"[/.]", "_", f"{task}-{architecture}")


def _forget_local_paths(folder: Path) -> None:
    """Leave nothing of this machine in a saved model: MLflow notes where code and artifacts came from, and .pyc do."""
    model = Model.load(str(folder))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    model.save(str(folder / "MLmodel"))
    for stray in folder.rglob("__pycache__"):
        shutil.rmtree(stray)


def _signature(classes: tuple[str, ...]) -> ModelSignature:
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "predicted")]
    outputs += [ColSpec(DataType.float, f"p_{name}") for name in classes]
    outputs += [ColSpec(DataType.string, "error")]
    return ModelSignature(inputs=Schema([ColSpec(DataType.binary, "image")]), outputs=Schema(outputs))


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
