"""A judged side -> why the model said so: panels, what proves the maps, tables and raw maps, in one folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from trainables.catalog import Task
from trainables.evaluation.evaluation_files import EXPLANATIONS_FILE
from trainables.evaluation.predictions import Predictions, case_digest
from trainables.explain.case_panels import Case, Reference, write_panels, write_table
from trainables.explain.cases import shown_cases
from trainables.explain.channel_gates import write_channel_gates
from trainables.explain.class_grid import class_grids, write_class_grid
from trainables.explain.cross_cases import write_side_cross
from trainables.explain.explained import Explained, Masks
from trainables.explain.map_warnings import verdict_warnings
from trainables.explain.proof_figure import draw_proof
from trainables.explain.proving import ProvedExplainer, prove
from trainables.explain.settings import ExplanationSettings

PROOF_FILE = "proof.csv"
PROOF_FIGURE = "proof.png"
MOST_REFERENCE = 32


def explain_side(
    folder: Path,
    task: Task,
    explained: Explained,
    predictions: Predictions,
    masks: Masks,
    title: str,
    settings: ExplanationSettings,
) -> None:
    """Write the folder: panels, class_grid.png, mistakes.png, cases.csv, maps.npz, proof.csv, .png, explanations.json.

    Explained is the predicted class. `masks` as in `prove`. An explainer that cannot be used on this model is named in
    explanations.json with the reason. Of an architecture with gates of channels also channel_gates.csv and .png, of
    one with attention between images what `write_side_cross` writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    explainers, refused = explained.usable(explained.architecture.explainers)
    labels_N = predictions.labels_N
    no_gates = write_channel_gates(folder, explained, labels_N, task.classes)
    refused += [no_gates] if no_gates else []
    scores, proved = prove(explained, explainers, predictions.rows, masks, settings)
    cases = _cases(task, predictions, title, settings.mistakes)
    if explainers and cases:
        numbers = np.linspace(0, len(predictions.rows) - 1, min(MOST_REFERENCE, len(predictions.rows))).astype(int)
        reference = Reference(explained.input_of(numbers.tolist()), f"the mean features of {len(numbers)} test images")
        names = [one.name for one in explainers]
        warnings = verdict_warnings(names, {one.summary.explainer: one.verdict for one in proved})
        warnings += [f"Not shown: {reason}" for reason in refused]
        write_panels(folder, explained, explainers, cases, reference, warnings)
        no_cross = write_side_cross(folder, task, explained, predictions, cases, settings)
        refused += [no_cross] if no_cross else []
        probs_NK = predictions.probs_NK
        for grid in class_grids(probs_NK, labels_N, settings.of_each_class, settings.seed):
            about = explained, explainers, grid.chosen, labels_N, probs_NK, task.classes
            write_class_grid(folder / grid.file, *about, f"{title}: {grid.words}")
    write_table(folder / PROOF_FILE, [asdict(row) for row in scores])
    if proved:
        further = [_of_model(one) for one in proved]
        draw_proof(folder / PROOF_FIGURE, [one.summary for one in proved], f"{title}: what the maps are worth", further)
    _write_summary(folder / EXPLANATIONS_FILE, explained, proved, refused)


def _of_model(one: ProvedExplainer) -> str:
    """Return what is said of a map beside the figures."""
    still = "" if one.shift_stability is None else f"; rank correlation when moved by 1 px {one.shift_stability:.2f}"
    return f"{one.summary.explainer}: {one.randomisation.sentence}{still}"


def _cases(task: Task, predictions: Predictions, title: str, mistakes: int) -> list[Case]:
    probs_NK = predictions.probs_NK
    cases = []
    for place, n in enumerate(shown_cases(probs_NK, predictions.rows, mistakes), start=1):
        row, predicted = predictions.rows[n], int(probs_NK[n].argmax())
        digest, probability = case_digest([row.sha256, row.second_sha256]), float(probs_NK[n, predicted])
        true, told = task.classes[row.label], task.classes[predicted]
        answer = f"true {true}, predicted {told}, probability {probability:.2f}"
        about = {
            "case": digest,
            "modality": row.modality,
            "true": true,
            "predicted": told,
            "probability": f"{probability:.6f}",
        }
        cases.append(
            Case(
                name=f"{place:02d}_{'right' if predicted == row.label else 'wrong'}",
                number=n,
                class_index=predicted,
                title=f"{title}, {digest} ({row.modality}): {answer}",
                about=about,
            )
        )
    return cases


def _write_summary(path: Path, explained: Explained, proved: Sequence[ProvedExplainer], refused: Sequence[str]) -> None:
    methods = {one.name: asdict(one) for one in explained.architecture.explainers}
    about = {one.summary.explainer: {**methods[one.summary.explainer], **asdict(one)} for one in proved}
    text = json.dumps({"explainers": about, "refused": list(refused)}, indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
