"""Evidence of models that were never trained: what their logits can tell, and where they lie, is known."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from orchestrator.promotion.evidence import EVIDENCE_FILE, SIDES, Cost, Evidence, EvidenceFolder, digest_of, table_file
from orchestrator.promotion.policy import DEFAULT_POLICY, Policy, read_policy
from trainables.catalog import TASKS
from trainables.data.records import Side
from trainables.data.split_rows import SplitRow, digest_test
from trainables.evaluation.evaluation import evaluate
from trainables.evaluation.predictions import Predictions, write_predictions

POLICY: Policy = read_policy(DEFAULT_POLICY, "stroke")


@dataclass(frozen=True)
class Model:
    """How a made-up model behaves: `signal` tells classes apart, `overconfidence` multiplies logits on test only."""

    signal: float = 2.0
    signal_on_mr: float | None = None
    overconfidence: float = 1.0
    own_noise: float = 0.7
    leaks: int = 0
    parameters: int | None = 1_000_000
    image_ms: float | None = 10.0
    seed: int = 0


@dataclass(frozen=True)
class TestSet:
    """Held-out images: so many patients, half of each class, each with `per_patient` images, CT and MR in turn."""

    __test__ = False

    patients: int = 120
    per_patient: int = 1
    seed: int = 0


def write_evidence(folder: Path, model: Model, held_out: TestSet | None = None) -> EvidenceFolder:
    """Write the bundle of a model on a test set; validation is another set of the same size."""
    folder.mkdir(parents=True)
    for name, content in _bundle(model, held_out or TestSet()).items():
        (folder / name).write_bytes(content)
    return EvidenceFolder(folder)


@cache
def _bundle(model: Model, held_out: TestSet) -> dict[str, bytes]:
    """Return the files by name; intervals take a second, so that each model is judged once."""
    task = TASKS["stroke"]
    sides = {side: draw_predictions(model, held_out, side) for side in SIDES}
    evaluation = evaluate(task, sides["validation"], sides["test"])
    folder = Path(tempfile.mkdtemp())
    for side, predictions in sides.items():
        write_predictions(folder / table_file(side), predictions, task.classes)
    test = sides["test"]
    evidence = Evidence(
        task="stroke", title=task.title, name="stroke", classes=task.classes, metric="auroc",
        chosen_by="sensitivity", architecture="toy",
        source="a test", hyperparameters={"lr": 0.1}, sweep_id="s", trial=0, seed=0, plan_digest="p",
        data_kind="real", data_digest="d", split="grouped", split_digest="sp", grouped_by="patient",
        test_digest=digest_test(row.sha256 for row in test.rows), images={"test": {"all": len(test.rows)}},
        leaks={"copy": model.leaks} if model.leaks else {}, licence="none", audit={}, code={}, versions={},
        cost=Cost(
            parameters=model.parameters, trainable_parameters=model.parameters, training_s=1.0, epochs=1,
            image_ms=model.image_ms, machine="one",
        ),
        predictions_sha256={side: digest_of(folder / table_file(side)) for side in SIDES},
        evaluation=json.loads(json.dumps(asdict(evaluation))),
    )  # fmt: skip
    (folder / EVIDENCE_FILE).write_text(evidence.model_dump_json(indent=2))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    return files


def draw_predictions(model: Model, held_out: TestSet, side: Side) -> Predictions:
    """Return what a model says of a side; the images are the same for all models."""
    number = SIDES.index(side)
    images = held_out.patients * held_out.per_patient
    patient_N = np.arange(images) // held_out.per_patient
    labels_N = patient_N % 2
    is_mr_N = (np.arange(images) // 2) % 2 == 1
    shared = np.random.default_rng([held_out.seed, number])
    own = np.random.default_rng([held_out.seed, number, model.seed, 7])
    hard_N = shared.normal(size=held_out.patients)[patient_N] + 0.3 * shared.normal(size=images)
    signal_N = np.where(is_mr_N, model.signal if model.signal_on_mr is None else model.signal_on_mr, model.signal)
    noise_N = hard_N + model.own_noise * own.normal(size=images)
    margin_N = signal_N * (labels_N - 0.5) + noise_N
    # the log odds of two normals: probabilities are true, but for what `overconfidence` does to them on test
    logit_N = margin_N * model.signal / (1.09 + model.own_noise**2)
    logit_N = logit_N * (model.overconfidence if side == "test" else 1.0)
    rows = [
        SplitRow(
            path=f"{side}/{n}.png", label=int(labels_N[n]), modality="MR" if is_mr_N[n] else "BT",
            group=f"{side} patient {patient_N[n]:04d}", side=side,
            sha256=hashlib.sha256(f"{held_out.seed} {side} {n}".encode()).hexdigest(),
            leak="copy" if side == "test" and n < model.leaks else "",
        )
        for n in range(images)
    ]  # fmt: skip
    return Predictions(np.stack([-logit_N / 2, logit_N / 2], axis=1).astype(np.float32), rows)
