"""An evaluation as a folder: numbers with their reasons as JSON, tables as CSV."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from trainables.catalog import Task
from trainables.data.records import Side
from trainables.evaluation.evaluation import Evaluation, SideEvaluation
from trainables.evaluation.predictions import Predictions, results_file, write_predictions
from trainables.evaluation.scores import Scores

METRICS_FILE = "metrics.json"
COST_FILE = "cost.json"  # written by who measured it
EXPLANATIONS = "explanations"  # a folder of why the model said so on test
EXPLANATIONS_FILE = "explanations.json"  # in it: what each explainer's maps are worth
FOR_EVIDENCE = "evidence"  # a folder of what a registered version takes along besides
WEIGHTS_DIGEST_FILE = "weights.sha256"  # in it: of the file that was evaluated
FAILURES_FILE = "failures.png"  # in it: the surest mistakes on test, named by digest, as file names may name people
REPORT_FILE = "classification_report"  # .csv and .json
SUMMARY_FILE = "summary_statistics.csv"
ALL = "all"  # the image type of a row over all of them

Cell = str | int | float | None


def evaluation_files(task: str, has_test: bool) -> list[str]:
    """Return the names of the files that `write_evaluation` writes."""
    sides = (results_file(task, "validation"), *([results_file(task, "test")] if has_test else []))
    return [METRICS_FILE, *sides, f"{REPORT_FILE}.json", f"{REPORT_FILE}.csv", SUMMARY_FILE]


def write_evaluation(
    folder: Path, task: Task, evaluation: Evaluation, validation: Predictions, test: Predictions | None = None
) -> None:
    """Write the folder's files: the same evaluation always gives the same bytes."""
    sides: dict[Side, tuple[SideEvaluation, Predictions]] = {"validation": (evaluation.validation, validation)}
    if test is not None and evaluation.test is not None:
        sides["test"] = evaluation.test, test
    write_sides(folder, task, asdict(evaluation), sides)


def write_sides(
    folder: Path, task: Task, said: Mapping[str, object], judged: Mapping[Side, tuple[SideEvaluation, Predictions]]
) -> None:
    """Write the tables of some sides, and `said` as metrics.json."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"task": task.name, "classes": task.classes, "severity": task.severity}
    _write_json(folder / METRICS_FILE, {**about, **said})
    for side, (_, predictions) in judged.items():
        write_predictions(folder / results_file(task.name, side), predictions, task.classes)
    sides: dict[str, SideEvaluation] = {side: scored for side, (scored, _) in judged.items()}
    report = {side: classification_report(scored) for side, scored in sides.items()}
    _write_json(folder / f"{REPORT_FILE}.json", report)
    rows = [{"side": side, "class": name, **row} for side, table in report.items() for name, row in table.items()]
    _write_csv(folder / f"{REPORT_FILE}.csv", rows)
    _write_csv(folder / SUMMARY_FILE, [row for side, scored in sides.items() for row in _summary(side, scored)])


def classification_report(scored: SideEvaluation) -> dict[str, dict[str, Cell]]:
    """Return a row per class, then means over the classes with true images: plain, and weighted by their number."""
    report: dict[str, dict[str, Cell]] = {}
    names = ("precision", "recall", "f1")
    for one in scored.per_class:
        why = "; ".join(dict.fromkeys(one.reasons.values()))
        report[one.name] = {**{name: getattr(one, name) for name in names}, "support": one.support, "reason": why}
    true = [one for one in scored.per_class if one.support]
    for title, weights in (("macro avg", [1] * len(true)), ("weighted avg", [one.support for one in true])):
        means = {name: _mean([getattr(one, name) or 0.0 for one in true], weights) for name in names}
        report[title] = {**means, "support": scored.overall.images, "reason": "" if true else "no image"}
    return report


def _mean(values: Sequence[float], weights: Sequence[int]) -> float | None:
    """Return the weighted mean; a class that is never predicted enters with 0, as scikit-learn has it."""
    total = sum(weights)
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total if total else None


def _summary(side: str, scored: SideEvaluation) -> Iterable[dict[str, Cell]]:
    for image_type, scores in [(ALL, scored.overall), *scored.per_modality.items()]:
        row: dict[str, Cell] = {"side": side, "image_type": image_type, "images": scores.images}
        row |= {"groups": scores.groups, **_counts(scores)}
        for name in ("accuracy", "auroc", "average_precision"):
            row[name] = scores.metrics[name]
        row["reason"] = "; ".join(f"{name}: {scores.reasons[name]}" for name in row if name in scores.reasons)
        yield row


def _counts(scores: Scores) -> dict[str, Cell]:
    """Return TN, FP, FN and TP of two classes; nothing of more."""
    if len(scores.confusion) != 2:
        return {}
    (tn, fp), (fn, tp) = scores.confusion
    return {"tn": tn, "fp": fp, "fn": fn, "tp": tp}


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Cell]]) -> None:
    """Write rows of the same columns; None is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
