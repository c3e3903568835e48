"""Registered versions that are to be compared: what the registry keeps of each, and what it says of a labelled set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.pyfunc import PyFuncModel

from orchestrator.errors import BadInput
from orchestrator.tracking.promotion import evidence_of
from orchestrator.tracking.registry import FoundModel, find_versions, inputs_of, list_versions, predict
from trainables.catalog import Task
from trainables.data.decoding import Progress
from trainables.data.labelled import LabelledSet, digests_of

BATCH = 64


@dataclass(frozen=True)
class KeptVersion:
    """A version with its aliases, its tags, and the evaluation that its evidence holds (None where it has none)."""

    found: FoundModel
    aliases: tuple[str, ...]
    tags: dict[str, str]
    evaluation: dict[str, Any] | None


@dataclass(frozen=True)
class Answers:
    """What a version says of every case: probs_NK, why it cannot judge some (their rows are NaN), and the digests of
    the images that it was given.
    """

    probs_NK: np.ndarray
    reasons: list[str]
    sha256s: list[list[str]]


def find_kept(client: MlflowClient, reference: str, which: str | None) -> list[KeptVersion]:
    """Return what is known of the versions that `find_versions` finds. Raises BadInput."""
    found = find_versions(client, reference, which)
    about = {version["version"]: version for version in list_versions(client, found[0].name)}
    return [
        KeptVersion(one, tuple(about[one.version]["aliases"]), about[one.version]["tags"], _evaluation(client, one))
        for one in found
    ]


def ask(model: PyFuncModel, found: FoundModel, task: Task, images: LabelledSet, progress: Progress) -> Answers:
    """Let a version judge every case; a batch of images is in memory. Raises BadInput for one of other classes."""
    named = f"{found.name} version {found.version}"
    inputs = inputs_of(model)
    if len(inputs) != task.images_per_case:
        raise BadInput(f"{named}: takes {len(inputs)} images per case, the task has {task.images_per_case}")
    columns = [f"p_{name}" for name in task.classes]
    parts, reasons, sha256s = [], [], []
    for batch in images.batches(BATCH):
        frame = predict(model, batch.contents)
        known = [name for name in frame.columns if name.startswith("p_")]
        if known != columns:
            classes = ", ".join(name.removeprefix("p_") for name in known)
            raise BadInput(f"{named}: knows the classes {classes}, the task has now {', '.join(task.classes)}")
        probs_BK = frame[columns].to_numpy(dtype=np.float64)
        parts.append(probs_BK)
        silent = f"version {found.version} gives no number for it"
        for fault, error, own_K in zip(batch.faults, frame["error"], probs_BK, strict=True):
            reasons.append(fault or str(error) or ("" if np.isfinite(own_K).all() else silent))
        sha256s += digests_of(batch)
        progress(f"version {found.version}:", len(reasons), len(images.records))
    return Answers(np.concatenate(parts), reasons, sha256s)


def _evaluation(client: MlflowClient, found: FoundModel) -> dict[str, Any] | None:
    try:
        with evidence_of(client, found.name, found.version) as folder:
            return folder.evidence.evaluation
    except BadInput:
        return None
