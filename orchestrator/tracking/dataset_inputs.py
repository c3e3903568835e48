"""The data of a sweep as MLflow's dataset inputs: name, digests and counts, never a path."""

import json

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

from orchestrator.plan import SweepPlan


def log_dataset(client: MlflowClient, run_id: str, plan: SweepPlan, context: str) -> None:
    """Name a run's data in its dataset column; asked again, nothing is added. `context` is what they were used for."""
    data = plan.data
    about = {
        "split": data.split, "split_digest": data.split_digest, "test_digest": data.test_digest,
        "grouped_by": data.grouped_by, "images": data.images,
    }  # fmt: skip
    source = json.dumps({"task": plan.task, "kind": data.kind})
    dataset = Dataset(plan.registered_name, data.digest, "orchestrate", source, profile=json.dumps(about))
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])
