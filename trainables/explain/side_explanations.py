"""A judged side -> why the model said so: panels, what proves the maps, tables and raw maps, in one folder."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from trainables.catalog import Task
from trainables.evaluation.evaluation_files import EXPLANATIONS_FILE
from trainables.evaluation.predictions import Predictions, case_digest
from trainables.explain.case_panels import Case, Reference, write_panels, write_table
from trainables.explain.cases import shown_cases
from trainables.explain.channel_gates import write_channel_gates
from trainables.explain.class_grid import class_grids, drawn_explainers, not_drawn, write_class_grid
from trainables.explain.cross_cases import write_side_cross
from trainables.explain.explained import FAULTS, Explained, Masks, reason_of
from trainables.explain.map_warnings import verdict_warnings
from trainables.explain.proof import MapScores
from trainables.explain.proof_figure import draw_proof
from trainables.explain.proving import ProvedExplainer, prove, road_sentence
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

    Explained is the predicted class. `masks` as in `prove`. In explanations.json `refused` says what images of this
    size, or this model, have no map for, and `failed` what could not be made: the others are there all the same. Of an
    architecture with gates of channels also channel_gates.csv and .png, of one with attention between images what
    `write_side_cross` writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    explainers, refused, failed = explained.usable(explained.architecture.explainers)
    no_map = [*refused, *failed]
    labels_N = predictions.labels_N
    with _noted("channel gates", failed):
        no_gates = write_channel_gates(folder, explained, labels_N, task.classes)
        refused += [no_gates] if no_gates else []
    scores: list[MapScores] = []
    proved: list[ProvedExplainer] = []
    with _noted("proof", failed):
        scores, proved, unproved = prove(explained, explainers, predictions.rows, masks, settings)
        failed += unproved
    cases = _cases(task, predictions, title, settings)
    if explainers and cases:
        numbers = np.linspace(0, len(predictions.rows) - 1, min(MOST_REFERENCE, len(predictions.rows))).astype(int)
        reference = Reference(explained.input_of(numbers.tolist()), f"the mean features of {len(numbers)} test images")
        verdicts = {one.summary.explainer: one.verdict for one in proved}
        warnings = verdict_warnings([one.name for one in explainers], verdicts)
        warnings += [f"Not shown: {reason}" for reason in no_map]
        with _noted("panels", failed):
            write_panels(folder, explained, explainers, cases, reference, warnings)
        with _noted("attention between images", failed):
            write_side_cross(folder, task, explained, predictions, cases, settings)
        drawn = verdict_warnings([one.name for one in drawn_explainers(explainers)], verdicts)
        drawn += not_drawn(explained, no_map)
        probs_NK = predictions.probs_NK
        for grid in class_grids(probs_NK, labels_N, settings.of_each_class, settings.seed):
            about = explained, explainers, grid.chosen, labels_N, probs_NK, task.classes
            with _noted(grid.file, failed):
                write_class_grid(folder / grid.file, *about, f"{title}: {grid.words}", drawn)
    write_table(folder / PROOF_FILE, [asdict(row) for row in scores])
    if proved:
        further = [*(_of_model(one) for one in proved), f"{road_sentence(scores)}."]
        draw_proof(folder / PROOF_FIGURE, [one.summary for one in proved], f"{title}: what the maps are worth", further)
    _write_summary(folder / EXPLANATIONS_FILE, explained, proved, road_sentence(scores), refused, failed)


@contextmanager
def _noted(part: str, failed: list[str]) -> Iterator[None]:
    """Let a part that cannot be made cost no other."""
    try:
        yield
    except FAULTS as fault:
        failed.append(f"{part}: {reason_of(fault)}")


def _of_model(one: ProvedExplainer) -> str:
    """Return what is said of a map beside the figures."""
    still = "" if one.shift_stability is None else f"; rank correlation when moved by 1 px {one.shift_stability:.2f}"
    return f"{one.summary.explainer}: {one.randomisation.sentence}{still}"


def _cases(task: Task, predictions: Predictions, title: str, settings: ExplanationSettings) -> list[Case]:
    probs_NK = predictions.probs_NK
    cases = []
    shown = shown_cases(probs_NK, predictions.rows, settings.mistakes, settings.right_of_each_kind)
    for place, n in enumerate(shown, start=1):
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


def _write_summary(
    path: Path,
    explained: Explained,
    proved: Sequence[ProvedExplainer],
    road: str,
    refused: Sequence[str],
    failed: Sequence[str],
) -> None:
    methods = {one.name: asdict(one) for one in explained.architecture.explainers}
    about = {one.summary.explainer: {**methods[one.summary.explainer], **asdict(one)} for one in proved}
    told = {"explainers": about, "road": road, "refused": list(refused), "failed": list(failed)}
    path.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
