"""A trained model -> what is said of it: a record, and a folder of tables and figures."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainables.catalog import Task, architecture
from trainables.data.records import Side
from trainables.data.split_rows import SplitRow
from trainables.errors import OutOfMemory
from trainables.evaluation.evaluation import Evaluation, evaluate
from trainables.evaluation.evaluation_files import (
    COST_FILE,
    EXPLANATIONS,
    EXPLANATIONS_FILE,
    FAILURES_FILE,
    FOR_EVIDENCE,
    write_evaluation,
)
from trainables.evaluation.predictions import Predictions
from trainables.evaluation.repairing import Repairing, repairing
from trainables.evaluation.side_figures import draw_failures, draw_side
from trainables.explain.settings import ExplanationSettings
from trainables.inference import EVALUATION_BATCH, image_ms, machine_of, predict_logits

MOST_PX_OF_ONE_THREAD = 96
PAIR = 2  # images of a case
REPAIRING_SEED = 0  # the same shuffles for every model, so that scores compare


@dataclass(frozen=True)
class SideImages:
    """The cases of one side, uint8 images_NMHW, and the row of each."""

    rows: Sequence[SplitRow]
    images_NMHW: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[SplitRow], images_NMHW: np.ndarray, side: Side) -> "SideImages":
        """Return those of one side."""
        chosen = [row for row, record in enumerate(rows) if record.side == side]
        return cls([rows[row] for row in chosen], images_NMHW[chosen])


@dataclass(frozen=True)
class Explaining:
    """How the answers on test are explained; `find_mask` (path of a row) gives a lesion where one is known."""

    architecture: str
    settings: ExplanationSettings
    find_mask: Callable[[str], np.ndarray | None]


def judge(
    folder: Path,
    task: Task,
    model: nn.Module,
    title: str,
    validation: SideImages,
    test: SideImages | None = None,
    explaining: Explaining | None = None,
) -> Evaluation:
    """Evaluate a model on its device; `folder` holds tables, and figures below validation/ and test/, and no others.

    Where the answers on test are to be explained, that is below explanations/.

    Raises OutOfMemory where the device has no room for a single image.
    """
    on_validation = _predict(model, validation)
    on_test = None if test is None else _predict(model, test)
    evaluation = evaluate(task, on_validation, on_test)
    if test is not None and test.images_NMHW.shape[1] == PAIR:
        evaluation = replace(evaluation, repairing=_repaired(task, model, test))
    shutil.rmtree(folder, ignore_errors=True)  # numbers of other weights must not stand beside these
    write_evaluation(folder, task, evaluation, on_validation, on_test)
    images_per_case, side_px = validation.images_NMHW.shape[1:3]
    cost = {"image_ms": round(image_ms(model, side_px, images_per_case), 4), "machine": machine_of(model)}
    (folder / COST_FILE).write_text(json.dumps(cost), encoding="utf-8")
    temperature = evaluation.temperature.value
    on_both = evaluation.validation, on_validation, validation.images_NMHW
    draw_side(folder / "validation", task, *on_both, title, temperature)
    if test is not None and on_test is not None and evaluation.test is not None:
        draw_side(folder / "test", task, evaluation.test, on_test, test.images_NMHW, title, temperature)
        failures = folder / FOR_EVIDENCE / FAILURES_FILE
        draw_failures(failures, task, on_test, test.images_NMHW, f"{title}, test")
        if explaining is not None:
            served = replace(on_test, logits_NK=on_test.logits_NK / temperature)  # as a registered model answers
            _explain(folder / EXPLANATIONS, task, model, title, test.images_NMHW, served, explaining)
    return evaluation


def _repaired(task: Task, model: nn.Module, test: SideImages) -> Repairing:
    def with_partners(partner_N: np.ndarray) -> np.ndarray:
        images_NMHW = np.stack([test.images_NMHW[:, 0], test.images_NMHW[partner_N, 1]], axis=1)
        return _predict(model, SideImages(test.rows, images_NMHW)).logits_NK

    labels_N, groups_N = (np.array([getattr(row, name) for row in test.rows]) for name in ("label", "group"))
    return repairing(with_partners, labels_N, groups_N, REPAIRING_SEED, task.severity_K)


def _explain(
    folder: Path,
    task: Task,
    model: nn.Module,
    title: str,
    images_NMHW: np.ndarray,
    predictions: Predictions,
    explaining: Explaining,
) -> None:
    # seconds of imports, which other evaluations do without
    from trainables.explain.explained import FAULTS, Explained, reason_of
    from trainables.explain.side_explanations import explain_side

    side_px = images_NMHW.shape[2]
    found = {
        (n, image): explaining.find_mask(path)
        for n, row in enumerate(predictions.rows)
        for image, path in enumerate(filter(None, (row.path, row.second_path)))
    }
    masks = {place: mask_HW for place, mask_HW in found.items() if mask_HW is not None}
    explained = Explained(architecture(explaining.architecture), model, images_NMHW)
    threads = torch.get_num_threads()
    if side_px <= MOST_PX_OF_ONE_THREAD:  # one image at a time: threads would wait for each other longer than they work
        torch.set_num_threads(1)
    try:
        explain_side(folder, task, explained, predictions, masks, title, explaining.settings)
    except FAULTS as fault:  # costs no evaluation
        told = {"explainers": {}, "refused": [], "failed": [reason_of(fault)]}
        (folder / EXPLANATIONS_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")
    finally:
        torch.set_num_threads(threads)


def _predict(model: nn.Module, side: SideImages) -> Predictions:
    images_NMHW, rows_N = torch.from_numpy(side.images_NMHW), torch.arange(len(side.rows))
    at_once = EVALUATION_BATCH
    while at_once:
        try:
            return Predictions(predict_logits(model, images_NMHW, rows_N, at_once), side.rows)
        except torch.OutOfMemoryError:
            at_once //= 2
        torch.cuda.empty_cache()
    raise OutOfMemory("evaluation: the device has no room for a single image in float32; lower image_px")
