"""The MLflow store: the embedded SQLite file, which appears whole and in WAL mode, or any store by its URI."""

import logging
import os
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
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import create_engine

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.tracking.outcome import tracking_uri, without_password
from orchestrator.tracking.store_fault import STORE_FAULTS, StoreFault, fault_of
from trainables.catalog import TASKS
from trainables.evaluation.metrics import METRICS

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 blocks 247 s when a server is down
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it asks the server for each run's name
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}

# A request that failed may have been carried out: who writes looks for what it made before it is repeated.
ENVIRONMENT_OF_A_WRITER = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

# Seconds of silence after which a server that took a request is given up; MLflow would wait for 120. It is no limit on
# how long an upload takes, only on what the server does after it: one that hands 440 MB of weights (the largest model
# here) on to a bucket at 7 MB/s still answers in time. Who has a slower one sets the variable.
SILENCE_S = "60"


@contextmanager
def told_as_bad_input(home: Home, given: str | None) -> Iterator[None]:
    """Turn a store that cannot be reached or used into one line for the user."""
    try:
        yield
    except STORE_FAULTS as error:
        raise BadInput(told_of(fault_of(error), home, given)) from error


def told_of(fault: StoreFault, home: Home, given: str | None) -> str:
    """Return the line for a user whose command needs the store."""
    verb = {"away": "cannot be used", "refused": "refuses", "local": "cannot be used from here"}[fault.kind]
    return f"MLflow store {without_password(tracking_uri(home, given))}: {verb} ({fault.reason})"


def open_store(home: Home, given: str | None) -> MlflowClient:
    """Return a client; the embedded store is created on first use, an SQLite file elsewhere is left as it is."""
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", SILENCE_S)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = tracking_uri(home, given)
    if given is None:
        _create(home.mlflow / "mlflow.db")
    if not uri.startswith(("http", "sqlite")):
        _require_answer(uri)
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


def _require_answer(uri: str) -> None:
    """Raise what a database answers that cannot be reached; MLflow would try again for 100 s before it says so."""
    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


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
        # makes MLflow's own experiment, Default, whose files would else lie in the working folder of whoever came first
        SqlAlchemyStore(f"sqlite:///{part}", (path.parent / "artifacts").absolute().as_uri())._dispose_engine()
        connection = sqlite3.connect(part, timeout=60)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with suppress(FileExistsError):  # another process was faster, its store is as good
            os.link(part, path)
