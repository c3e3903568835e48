"""A sweep's winner -> its evidence, from the files of its evaluation and the journal."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import BadInput
from orchestrator.promotion.evidence import (
    CARD_FILE,
    EVIDENCE_FILE,
    SIDES,
    Cost,
    Evidence,
    EvidenceFolder,
    ExplainerVerdict,
    digest_of,
    table_file,
)
from orchestrator.promotion.model_card import write_model_card
from orchestrator.ranking import spread_over
from orchestrator.sweep_state import SweepState, TrialState
from trainables.catalog import TASKS, architecture
from trainables.data.sources import SOURCES
from trainables.errors import ArchitectureError
from trainables.evaluation.evaluation_files import (
    COST_FILE,
    EXPLANATIONS,
    EXPLANATIONS_FILE,
    FAILURES_FILE,
    FOR_EVIDENCE,
    METRICS_FILE,
    WEIGHTS_DIGEST_FILE,
)
from trainables.evaluation.predictions import results_file, without_paths
from trainables.evaluation.trial_files import BEST_WEIGHTS

MOST_FINDINGS = 20


def write_bundle(folder: Path, sweep: Path, state: SweepState) -> EvidenceFolder:
    """Write the evidence of a sweep's winner into a new folder. Raises BadInput where its evaluation's files are gone.

    Names of files stay out of it, as they may name people.
    """
    assert state.winner is not None
    trial, plan = state.trials[state.winner], state.plan
    evaluated = sweep / "finalists" / f"{trial.number:04d}"
    try:
        evaluation = json.loads((evaluated / METRICS_FILE).read_bytes())
        folder.mkdir(parents=True)
        for side in SIDES:
            without_paths(evaluated / results_file(plan.task, side), folder / table_file(side))
        with suppress(FileNotFoundError):  # evaluated before there was one
            shutil.copyfile(evaluated / FOR_EVIDENCE / FAILURES_FILE, folder / FAILURES_FILE)
        if (evaluated / EXPLANATIONS).is_dir():
            shutil.copytree(evaluated / EXPLANATIONS, folder / EXPLANATIONS)
    except (OSError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BadInput(f"{evaluated}: its evaluation cannot be read ({error}); run the sweep again") from error
    explanations, unexplained, failed = _explanations(evaluated / EXPLANATIONS)
    weights_sha256 = _evaluated_weights(evaluated, sweep / "trials" / f"{trial.number:04d}" / BEST_WEIGHTS, folder)
    started = state.resumed or state.started
    evidence = Evidence(
        task=plan.task,
        title=TASKS[plan.task].title,
        name=plan.registered_name,
        classes=plan.classes,
        severity=TASKS[plan.task].severity,
        metric=TASKS[plan.task].primary_metric,
        chosen_by=plan.metric,
        architecture=trial.architecture,
        source=_source(trial.architecture),
        hyperparameters=dict(trial.hyperparameters),
        sweep_id=state.started.sweep_id,
        trial=trial.number,
        seed=trial.seed,
        plan_digest=state.plan_digest,
        data_kind=plan.data.kind,
        data_digest=plan.data.digest,
        split=plan.data.split,
        split_digest=plan.data.split_digest,
        grouped_by=plan.data.grouped_by,
        test_digest=plan.data.test_digest,
        images=plan.data.images,
        leaks=plan.data.leaks,
        licence=_licence(state),
        audit=_audit(sweep / "data" / "audit.json"),
        seeds=spread_over("seed", state, trial.number) or {},
        explanations=explanations,
        unexplained=unexplained,
        explaining_failed=failed,
        cost=_cost(evaluated / COST_FILE, trial, started.device),
        code=started.git,
        versions=started.versions,
        predictions_sha256={side: digest_of(folder / table_file(side)) for side in SIDES},
        weights_sha256=weights_sha256,
        evaluation=evaluation,
    )
    _write(folder, evidence)
    write_model_card(EvidenceFolder(folder))
    _write(folder, evidence.model_copy(update={"files_sha256": _further_digests(folder)}))
    return EvidenceFolder(folder)


def _further_digests(folder: Path) -> dict[str, str]:
    """Return file -> digest of all that the evidence has beside its tables, folders of explanations included."""
    explained = sorted(path for path in (folder / EXPLANATIONS).rglob("*") if path.is_file())
    found = [path for path in (folder / CARD_FILE, folder / FAILURES_FILE, *explained) if path.is_file()]
    return {path.relative_to(folder).as_posix(): digest_of(path) for path in found}


def _write(folder: Path, evidence: Evidence) -> None:
    (folder / EVIDENCE_FILE).write_text(evidence.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _evaluated_weights(evaluated: Path, weights: Path, folder: Path) -> str:
    """Return the digest of the weights that were evaluated, empty where none was kept. Raises BadInput for others."""
    try:
        told = (evaluated / FOR_EVIDENCE / WEIGHTS_DIGEST_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    if told != digest_of(weights):
        shutil.rmtree(folder, ignore_errors=True)
        raise BadInput(f"{weights}: are not the weights that were evaluated; resume the sweep")
    return told


def _source(name: str) -> str:
    try:
        return architecture(name).source
    except (KeyError, ArchitectureError):
        return "of a package that is not installed here"


def _licence(state: SweepState) -> str:
    if state.plan.data.kind == "phantom":
        return "synthetic images, made by this project"
    source = SOURCES.get(state.plan.task)
    known = f"if they are {source.page}: {source.licence}" if source else "not known"
    return f"that of the images that were given; {known}"


def _audit(path: Path) -> dict[str, Any]:
    """Return verdict and findings without the images that they name; nothing where there is no audit."""
    try:
        audit = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    findings = [
        {"severity": finding["severity"], "title": finding["title"], "count": finding["count"]}
        for finding in audit.get("findings", [])[:MOST_FINDINGS]
    ]
    counted = ("images", "unreadable", "exact_duplicates", "near_duplicates", "groups", "cross_split_leaks")
    return {
        "verdict": audit.get("verdict"),
        "findings": findings,
        **{name: audit[name] for name in counted if name in audit},
    }


def _explanations(folder: Path) -> tuple[dict[str, ExplainerVerdict], str, bool]:
    """Return what each explainer's maps are worth, or why there is nothing though it was tried, and if that failed."""
    if not folder.is_dir():
        return {}, "", False
    try:
        told = json.loads((folder / EXPLANATIONS_FILE).read_bytes())
        verdicts = {
            name: ExplainerVerdict(
                method=one["method"],
                beats_controls=one["summary"]["beats_controls"],
                depends_on_model=one["randomisation"]["passed"],
                sentences=(one["summary"]["sentence"], one["randomisation"]["sentence"]),
            )
            for name, one in told["explainers"].items()
        }
        if verdicts:
            return verdicts, "", False
        failed = told.get("failed", told["refused"])  # older files do not tell them apart
        return {}, "; ".join(dict.fromkeys([*failed, *told["refused"]])), bool(failed)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}, f"{EXPLANATIONS_FILE} is gone or damaged", True


def _cost(path: Path, trial: TrialState, device: str) -> Cost:
    perf = trial.epochs[0].metrics if trial.epochs else {}
    try:
        measured = json.loads(path.read_bytes())
    except (OSError, ValueError):
        measured = {}
    return Cost(
        parameters=_count(perf.get("perf/parameters")),
        trainable_parameters=_count(perf.get("perf/trainable_parameters")),
        training_s=round(trial.compute_s, 3),
        epochs=len(trial.epochs),
        image_ms=measured.get("image_ms"),
        machine=measured.get("machine", device),
    )


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
