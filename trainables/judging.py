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
from trainables.errors import ExplanationError, OutOfMemory
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
from trainables.evaluation.side_figures import draw_failures, draw_side
from trainables.explain.settings import ExplanationSettings
from trainables.inference import EVALUATION_BATCH, image_ms, machine_of, predict_logits

MOST_PX_OF_ONE_THREAD = 96


@dataclass(frozen=True)
class SideImages:
    """The images of one side, uint8 images_NHW, and the row of each."""

    rows: Sequence[SplitRow]
    images_NHW: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[SplitRow], images_NHW: np.ndarray, side: Side) -> "SideImages":
        """Return those of one side."""
        chosen = [row for row, record in enumerate(rows) if record.side == side]
        return cls([rows[row] for row in chosen], images_NHW[chosen])


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
    shutil.rmtree(folder, ignore_errors=True)  # numbers of other weights must not stand beside these
    write_evaluation(folder, task, evaluation, on_validation, on_test)
    cost = {"image_ms": round(image_ms(model, validation.images_NHW.shape[1]), 4), "machine": machine_of(model)}
    (folder / COST_FILE).write_text(json.dumps(cost), encoding="utf-8")
    temperature = evaluation.temperature.value
    on_both = evaluation.validation, on_validation, validation.images_NHW
    draw_side(folder / "validation", task, *on_both, title, temperature)
    if test is not None and on_test is not None and evaluation.test is not None:
        draw_side(folder / "test", task, evaluation.test, on_test, test.images_NHW, title, temperature)
        draw_failures(folder / FOR_EVIDENCE / FAILURES_FILE, task, on_test, test.images_NHW, f"{title}, test")
        if explaining is not None:
            served = replace(on_test, logits_NK=on_test.logits_NK / temperature)  # as a registered model answers
            _explain(folder / EXPLANATIONS, task, model, title, test.images_NHW, served, explaining)
    return evaluation


def _explain(
    folder: Path,
    task: Task,
    model: nn.Module,
    title: str,
    images_NHW: np.ndarray,
    predictions: Predictions,
    explaining: Explaining,
) -> None:
    from trainables.explain.explained import Explained  # seconds of imports, which other evaluations do without
    from trainables.explain.side_explanations import explain_side

    side_px = images_NHW.shape[1]
    found = {n: explaining.find_mask(row.path) for n, row in enumerate(predictions.rows)}
    masks = {n: mask_HW for n, mask_HW in found.items() if mask_HW is not None}
    explained = Explained(architecture(explaining.architecture), model, images_NHW)
    threads = torch.get_num_threads()
    if side_px <= MOST_PX_OF_ONE_THREAD:  # one image at a time: threads would wait for each other longer than they work
        torch.set_num_threads(1)
    try:
        explain_side(folder, task, explained, predictions, masks, title, explaining.settings)
    except (ExplanationError, torch.OutOfMemoryError) as error:  # costs no evaluation
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        told = {"explainers": {}, "refused": [str(error).strip().splitlines()[0]]}
        (folder / EXPLANATIONS_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")
    finally:
        torch.set_num_threads(threads)


def _predict(model: nn.Module, side: SideImages) -> Predictions:
    images_NHW, rows_N = torch.from_numpy(side.images_NHW), torch.arange(len(side.rows))
    at_once = EVALUATION_BATCH
    while at_once:
        try:
            return Predictions(predict_logits(model, images_NHW, rows_N, at_once), side.rows)
        except torch.OutOfMemoryError:
            at_once //= 2
        torch.cuda.empty_cache()
    raise OutOfMemory("evaluation: the device has no room for a single image in float32; lower image_px")
