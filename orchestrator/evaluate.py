"""`orchestrate evaluate`: registered versions on a labelled set, side by side. Nothing is trained or registered."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.errors import BadInput
from orchestrator.home import Home
from orchestrator.inspecting.data import find_data
from orchestrator.new_folder import check_new_folder, new_folder
from orchestrator.promotion.evidence import FOLDER
from orchestrator.promotion.explanation_verdicts import explainer_warnings
from orchestrator.test_ledger import EVALUATE
from orchestrator.test_predictions import development_images, note_predictions
from orchestrator.version_grids import check_per_class
from orchestrator.version_ranking import JudgedVersion, RankedVersion, rank_versions
from trainables.catalog import TASKS, Task
from trainables.data.labelled import LabelledSet, data_digest
from trainables.errors import DataError
from trainables.evaluation.evaluation import OperatingPoint, at_known_threshold, evaluate_side
from trainables.evaluation.operating_point import STATED_SPECIFICITY
from trainables.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from orchestrator.tracking.answers import Answers, KeptVersion
    from orchestrator.tracking.registry import FoundModel
    from trainables.data.decoding import Progress
    from trainables.data.labelled import LabelledSet

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)  # models give float32, where less is 0 and has no logarithm
APPLIED = "applied by the model itself: logits here are logarithms of the probabilities that it gives"


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What the user asked for; `versions` None: the one that the reference names, else champion and challenger.

    `grid`: images of each class that are drawn with their map, beside each version's figures in `out`.
    """

    reference: str
    data: str
    home: Home
    tracking_uri: str | None = None
    versions: str | None = None
    out: Path | None = None
    grid: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluatedVersions:
    """Versions ranked on the cases that all of them could read; `notes` are sentences for the user."""

    name: str
    task: Task
    data_digest: str
    images: int
    groups: int
    left_out: dict[str, str]  # case -> reason
    notes: list[str]
    rows: list[RankedVersion]
    folder: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "task": self.task.name,
            "metric": self.task.primary_metric,
            "data_digest": self.data_digest,
            "images": self.images,
            "groups": self.groups,
            "left_out": self.left_out,
            "notes": self.notes,
            "rows": [row.to_json() for row in self.rows],
            "folder": None if self.folder is None else str(self.folder),
        }


def evaluate_versions(request: EvaluateRequest, progress: "Progress") -> EvaluatedVersions:
    """Let every version judge all cases of a labelled set, and rank them. Raises BadInput.

    Test images of known sweeps are noted in the ledger before anything is written or returned.
    """
    check_per_class(request.grid, request.out)
    if request.out is not None:
        check_new_folder("--out", request.out)
    versions = _find(request)
    name = versions[0].found.name
    task = TASKS[name.removesuffix("_phantom")]
    images = _labelled(task, request)
    answers = [_ask(one, task, images, request, progress) for one in versions]
    sha256s = _the_same(answers)
    known = {digest for own in sha256s for digest in own}
    for one in versions:
        note_predictions(request.home, known, f"{name} v{one.found.version}", EVALUATE)
    readable, left_out = _readable(images, answers)
    rows = images.rows(sha256s, readable)
    judged = [
        _judge(one, task, Predictions(_logits(own.probs_NK[readable]), rows), request.home)
        for one, own in zip(versions, answers, strict=True)
    ]
    evaluated = EvaluatedVersions(
        name=name,
        task=task,
        data_digest=data_digest(rows),
        images=len(rows),
        groups=judged[0].scored.overall.groups,
        left_out=left_out,
        notes=[*images.data_set.notes, *_groups_note(images)],
        rows=rank_versions(task, judged),
        folder=request.out,
    )
    evaluated.notes.extend(_warnings(evaluated, images, {one.found.version: one.tags for one in versions}))
    if request.out is not None:
        _write(request.out, evaluated, images, {one.found.version: one.found for one in versions}, request)
    return evaluated


def _find(request: EvaluateRequest) -> "list[KeptVersion]":
    from orchestrator.tracking.answers import find_kept
    from orchestrator.tracking.store import open_store, told_as_bad_input

    with told_as_bad_input(request.home, request.tracking_uri):
        client = open_store(request.home, request.tracking_uri)
        return find_kept(client, request.reference, request.versions)


def _ask(
    version: "KeptVersion", task: Task, images: LabelledSet, request: EvaluateRequest, progress: "Progress"
) -> "Answers":
    from orchestrator.tracking.answers import ask
    from orchestrator.tracking.registry import load_model
    from orchestrator.tracking.store import told_as_bad_input

    with told_as_bad_input(request.home, request.tracking_uri):
        model = load_model(version.found)
    return ask(model, version.found, task, images, progress)


def _logits(probs_NK: np.ndarray) -> np.ndarray:
    logits_NK: np.ndarray = np.log(np.maximum(probs_NK, LEAST_PROBABILITY))
    return logits_NK


def _judge(version: "KeptVersion", task: Task, predictions: Predictions, home: Home) -> JudgedVersion:
    seen = development_images(home, version.tags.get("sweep_id", ""))
    return JudgedVersion(
        version=version.found.version,
        aliases=version.aliases,
        architecture=version.tags.get("architecture", "unknown"),
        predictions=predictions,
        scored=evaluate_side(task, predictions, temperature=1.0),
        operating_point=_operating_point(version.evaluation, task, predictions),
        seen_images=sum(bool({row.sha256, row.second_sha256} & seen) for row in predictions.rows),
    )


def _labelled(task: Task, request: EvaluateRequest) -> LabelledSet:
    folder, whence = find_data(task, request.data, None, request.home)
    try:
        return LabelledSet.of(task, folder)
    except DataError as error:
        raise BadInput(f"{whence}: {error}") from error
    except OSError as error:
        raise BadInput(f"{whence}: {error.filename or folder}: {error.strerror or error}") from error


def _the_same(answers: "Sequence[Answers]") -> list[list[str]]:
    """Return the digests of every case's images. Raises BadInput where versions were given different ones."""
    first, *others = (own.sha256s for own in answers)
    if any(other != first for other in others):
        raise BadInput("--data: images changed while they were evaluated; run it again when nobody writes there")
    return first


def _readable(images: LabelledSet, answers: "Sequence[Answers]") -> tuple[list[int], dict[str, str]]:
    """Return the cases that every version can judge, and the others with the first reason."""
    left_out: dict[str, str] = {}
    readable = []
    for case, record in enumerate(images.records):
        reasons = [own.reasons[case] for own in answers if own.reasons[case]]
        if reasons:
            left_out[record.path] = reasons[0]
        else:
            readable.append(case)
    if not readable:
        path, reason = next(iter(left_out.items()))
        raise BadInput(f"--data: none of the {len(left_out)} cases can be read, e.g. {path}: {reason}")
    return readable, left_out


def _operating_point(evaluation: Mapping[str, Any] | None, task: Task, predictions: Predictions) -> OperatingPoint:
    """Return what the threshold of the version's own validation does here; its evidence holds it."""
    try:
        point, temperature = (evaluation or {})["operating_point"], (evaluation or {})["temperature"]["value"]
        return at_known_threshold(task, predictions, point["stated_specificity"], point["threshold"], temperature)
    except (KeyError, TypeError):
        reason = "the version keeps no evidence that holds its threshold"
        return OperatingPoint(stated_specificity=STATED_SPECIFICITY, reason=reason)


def _groups_note(images: LabelledSet) -> list[str]:
    alone = sum(record.patient_id is None for record in images.records)
    if not alone:
        return []
    of_all = "no patients are known" if alone == len(images.records) else f"{alone} cases have no patient"
    return [f"{of_all}: each of these images counts as one by itself; where several are of one person, intervals and p "
            "are too narrow (patients.csv mends that)"]  # fmt: skip


def _warnings(evaluated: EvaluatedVersions, images: LabelledSet, tags: dict[str, dict[str, str]]) -> Sequence[str]:
    """Return what to beware of before the scores are believed."""
    found = []
    few = evaluated.rows[0].judged.scored.overall.warning
    if few:
        found.append(few)
    for row in evaluated.rows:
        version, own = row.judged.version, tags[row.judged.version]
        instead = f"use the test scores of its sweep (orchestrate leaderboard {own.get('sweep_id', evaluated.name)})"
        if own.get("data_digest") == evaluated.data_digest:
            found.append(f"version {version}: these are the images it was trained on; {instead}")
        elif row.judged.seen_images:
            seen = f"{row.judged.seen_images} of these {evaluated.images} images"
            found.append(f"version {version}: {seen} are of its own training and validation; {instead}")
    if images.is_phantom != evaluated.name.endswith("_phantom"):
        here, there = ("phantom", "real") if images.is_phantom else ("real", "phantom")
        found.append(f"these are {here} images, {evaluated.name} was trained on {there} ones")
    return found


def _write(
    out: Path,
    evaluated: EvaluatedVersions,
    images: LabelledSet,
    found: "Mapping[str, FoundModel]",
    request: EvaluateRequest,
) -> None:
    from orchestrator.tracking.downloads import CLASSIFIER, download_version
    from orchestrator.tracking.promotion import evidence_digest
    from orchestrator.tracking.store import open_store, told_as_bad_input
    from orchestrator.version_grids import write_version_grids
    from trainables.side_report import write_side_report

    with new_folder(out) as part:
        for row in evaluated.rows:
            judged = row.judged
            about = {
                "name": evaluated.name,
                "version": judged.version,
                "architecture": judged.architecture,
                "data_digest": evaluated.data_digest,
                "temperature": {"value": 1.0, "note": APPLIED},
                "operating_point": asdict(judged.operating_point),
            }
            title = f"{evaluated.name} version {judged.version}"
            folder = part / f"version-{judged.version}"
            scored, predictions = judged.scored, judged.predictions
            write_side_report(folder, evaluated.task, about, scored, predictions, images.reader(), title)
            if request.grid is not None:
                with tempfile.TemporaryDirectory() as scratch:
                    with told_as_bad_input(request.home, request.tracking_uri):
                        download_version(found[judged.version], Path(scratch))
                        client = open_store(request.home, request.tracking_uri)
                        digest = evidence_digest(client, evaluated.name, judged.version)
                    warn = partial(explainer_warnings, Path(scratch) / FOLDER, digest=digest)
                    drawn = predictions, images.reader(), request.grid, title, warn
                    no_grid = write_version_grids(folder / "explanations", Path(scratch) / CLASSIFIER, *drawn)
                evaluated.notes.extend([f"{title}: no grid, {no_grid}"] if no_grid else [])
