"""The MLflow store: the embedded SQLite file, which appears whole and in WAL mode, or any store by its URI."""

import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.db import upgrade
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.tracking.outcome import tracking_uri
from trainables.catalog import TASKS
from trainables.evaluation.metrics import METRICS

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 blocks 247 s when a server is down
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def without_password(uri: str) -> str:
    """Return the URI as it may be shown and stored: user and password left out."""
    return re.sub(r"://[^/@]*@", "://***@", uri)


@contextmanager
def told_as_bad_input(home: Home, given: str | None) -> Iterator[None]:
    """Turn a store that cannot be reached or used into one line for the user."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ImportError) as error:
        where = without_password(tracking_uri(home, given))
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(f"MLflow store {where}: cannot be used ({without_password(reason)[:200]})") from error


def open_store(home: Home, given: str | None) -> MlflowClient:
    """Return a client; the embedded store is created on first use, an SQLite file elsewhere is left as it is."""
    os.environ.update(ENVIRONMENT)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri(home, given)
    if given is None:
        _create(home.mlflow / "mlflow.db")
    mlflow.set_tracking_uri(uri)  # parts of the client look the store up by themselves
    mlflow.set_registry_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def ensure_experiment(client: MlflowClient, name: str, home: Home) -> str:
    """Return the experiment's id, creating it where needed; two sweeps may ask at once."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, _artifacts(client, name, home), _experiment_tags(name)))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    assert isinstance(found, Experiment)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _experiment_tags(task: str) -> dict[str, str]:
    """Return what MLflow's UI needs to know of a task: without its kind it opens as one of language models."""
    metric = TASKS[task].primary_metric
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": f"best/{metric}",
        "mlflow.experiment.primaryMetric.greaterIsBetter": str(METRICS[metric] == "max"),
    }


def _artifacts(client: MlflowClient, name: str, home: Home) -> str | None:
    """Return an absolute folder for stores without a server; a server knows its own place."""
    uri = str(client.tracking_uri)
    return None if uri.startswith("http") else (home.mlflow / "artifacts" / name).as_uri()


def _create(path: Path) -> None:
    """Create the store aside and put it in place whole: MLflow's migration is neither atomic nor safe for two at once.

    Its write-ahead log lets reading go on while another process writes; MLflow keeps this mode of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.part-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        upgrade.main([f"sqlite:///{part}"], standalone_mode=False)
        connection = sqlite3.connect(part, timeout=60)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with suppress(FileExistsError):  # another process was faster, its store is as good
            os.link(part, path)
