"""A sweep's winner as a LoggedModel of MLflow: its files are written, freed of local paths and sent."""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import AnyType

from orchestrator.promotion.evidence import EVIDENCE_FILE, FOLDER, digest_of
from orchestrator.sweep_state import SweepState
from orchestrator.tracking import registered_model_file
from orchestrator.tracking.outcome import model_key
from trainables.catalog import TASKS
from trainables.packaging import runtime_requirements, write_standalone

SWEEP_TAG = "orchestrate.sweep_id"
KEY_TAG = "orchestrate.model"  # which winner of the sweep
# A grey ramp of 32 x 32 pixels: a real image would be a person's, and MLflow stores the example in the open.
EXAMPLE_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAGUlEQVR42mNk4MAPmBgIgFEFowpGFQxXBQB25AE4RNEFOwAAAABJRU5ErkJggg=="
)


def log_model(
    client: MlflowClient, state: SweepState, weights: Path, evidence: Path | None, experiment_id: str, run_id: str
) -> str:
    """Log the winner's files, its evidence among them, as a LoggedModel of its trial's run; return the model's id."""
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
            temperature=_temperature(state),
            inputs=_inputs(state.plan.task),
            digests={"data": state.plan.data.digest, "split": state.plan.data.split_digest},
            ct_window_hu=TASKS[state.plan.task].ct_window_hu,
        )
        save_model(model, classifier)
        if evidence is not None:
            shutil.copytree(evidence, model / evidence.name)
        client.log_model_artifacts(logged.model_id, str(model))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=trial.best.epoch if trial.best else 0)])
    return str(logged.model_id)


def evidence_digest_of(client: MlflowClient, model_id: str) -> str | None:
    """Return the digest of the evidence that a logged model holds; None where it was logged without."""
    known = client.list_logged_model_artifacts(model_id, FOLDER)
    if not any(Path(file.path).name == EVIDENCE_FILE for file in known):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        place = client.get_logged_model(model_id).artifact_location
        file = mlflow.artifacts.download_artifacts(f"{place}/{FOLDER}/{EVIDENCE_FILE}", dst_path=scratch)
        return digest_of(Path(file))


def save_model(folder: Path, classifier: Path) -> None:
    """Write what MLflow loads and serves, around the folder of a classifier (`trainables.packaging`)."""
    config = json.loads((classifier / "config.json").read_text(encoding="utf-8"))
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(registered_model_file()),
        artifacts={"classifier": str(classifier)},
        signature=_signature(config["inputs"], config["classes"]),
        input_example=pd.DataFrame({name: [EXAMPLE_PNG] for name in config["inputs"]}),
        pip_requirements=["mlflow==" + mlflow.__version__, *runtime_requirements()],
    )
    _forget_local_paths(folder)


def _inputs(task: str) -> list[str]:
    """Return the names of a case's images, as columns have them."""
    return [name.lower() for name in TASKS[task].image_names]


def _temperature(state: SweepState) -> float:
    """Return what the evaluation fitted on validation; 1 for a journal that is older than that."""
    assert state.winner is not None
    return state.finalists[state.winner].further.get("temperature", 1.0)


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


def _signature(inputs: Sequence[str], classes: Sequence[str]) -> ModelSignature:
    """Return columns of any type: bytes, base64 text, paths and arrays all pass, and the model judges them itself.

    None is required: MLflow's own refusal of a missing column quotes the data, that of the model does not.
    """
    columns: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), name, required=False) for name in inputs]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, "predicted")]
    outputs += [ColSpec(DataType.float, f"p_{name}") for name in classes]
    outputs += [ColSpec(DataType.string, "error")]
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))
