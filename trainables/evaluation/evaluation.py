"""One model judged: validation, test where it may be seen, overall, per class, per modality, calibrated, leak-free."""

from dataclasses import dataclass

import numpy as np

from trainables.catalog import Task
from trainables.evaluation.class_metrics import ClassMetrics, per_class_metrics
from trainables.evaluation.metrics import classification_metrics
from trainables.evaluation.operating_point import (
    STATED_SPECIFICITY,
    ThresholdScores,
    scores_at_threshold,
    threshold_at_specificity,
)
from trainables.evaluation.predictions import Predictions
from trainables.evaluation.repairing import Repairing
from trainables.evaluation.scores import Scores, score_images
from trainables.evaluation.temperature import CALIBRATION_METRICS, Temperature, fit_temperature, probabilities


@dataclass(frozen=True, kw_only=True)
class SideEvaluation:
    """One side: all of it, each class against the rest, each modality, and calibration with and without temperature."""

    overall: Scores
    per_class: list[ClassMetrics]
    per_modality: dict[str, Scores]
    uncalibrated: dict[str, float | None]
    calibrated: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a threshold does that keeps the stated specificity on validation; `reason` where there is none."""

    stated_specificity: float
    threshold: float | None = None  # of the probability of class 1 before temperature
    validation: ThresholdScores | None = None
    test: ThresholdScores | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LeakFree:
    """The test images that development has not seen; `reason` why there are no scores, or why some of them are None."""

    images: int
    scores: Scores | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model on validation, and on test where it was given."""

    temperature: Temperature
    operating_point: OperatingPoint
    validation: SideEvaluation
    test: SideEvaluation | None
    test_leak_free: LeakFree | None
    repairing: Repairing | None = None  # of pairs of images, on test


def evaluate(task: Task, validation: Predictions, test: Predictions | None = None) -> Evaluation:
    """Return everything that is said of a model; temperature and threshold come from validation alone."""
    temperature = fit_temperature(validation.logits_NK, validation.labels_N)
    on_test = None if test is None else evaluate_side(task, test, temperature.value)
    return Evaluation(
        temperature=temperature,
        operating_point=_operating_point(task, validation, test),
        validation=evaluate_side(task, validation, temperature.value),
        test=on_test,
        test_leak_free=None if test is None or on_test is None else _leak_free(task, test, on_test.overall),
    )


def evaluate_side(task: Task, predictions: Predictions, temperature: float) -> SideEvaluation:
    """Return the scores of one side."""
    probs_NK, labels_N, modality_N = predictions.probs_NK, predictions.labels_N, predictions.modality_N
    overall = _score(task, predictions, np.ones(len(labels_N), dtype=bool))
    names = np.unique(modality_N).tolist()
    after = classification_metrics(probabilities(predictions.logits_NK, temperature), labels_N)
    return SideEvaluation(
        overall=overall,
        per_class=per_class_metrics(probs_NK, labels_N, task.classes),
        per_modality={
            name: overall if len(names) == 1 else _score(task, predictions, modality_N == name) for name in names
        },
        uncalibrated={name: overall.metrics[name] for name in CALIBRATION_METRICS},
        calibrated={name: after[name] for name in CALIBRATION_METRICS},
    )


def _score(task: Task, predictions: Predictions, chosen_N: np.ndarray) -> Scores:
    return score_images(
        predictions.probs_NK[chosen_N],
        predictions.labels_N[chosen_N],
        predictions.groups_N[chosen_N],
        task.classes,
        task.severity_K,
    )


def _operating_point(task: Task, validation: Predictions, test: Predictions | None) -> OperatingPoint:
    stated = STATED_SPECIFICITY
    if len(task.classes) != 2:
        reason = f"it is of two classes, here are {len(task.classes)}"
        return OperatingPoint(stated_specificity=stated, reason=reason)
    threshold = threshold_at_specificity(validation.probs_NK[:, 1], validation.labels_N, stated)
    if threshold is None:
        reason = f"validation has no {task.classes[0]} image to choose a threshold with"
        return OperatingPoint(stated_specificity=stated, reason=reason)

    def at_threshold(predictions: Predictions) -> ThresholdScores:
        return scores_at_threshold(predictions.probs_NK[:, 1], predictions.labels_N, predictions.groups_N, threshold)

    return OperatingPoint(
        stated_specificity=stated,
        threshold=threshold,
        validation=at_threshold(validation),
        test=None if test is None else at_threshold(test),
    )


def at_known_threshold(
    task: Task, predictions: Predictions, stated_specificity: float, threshold: float | None, temperature: float
) -> OperatingPoint:
    """Return what a threshold of a model's validation does to probabilities that its temperature is applied to.

    `threshold` is of the probability before temperature, as `OperatingPoint` has it; the one returned is after it.
    """
    if len(task.classes) != 2:
        reason = f"it is of two classes, here are {len(task.classes)}"
        return OperatingPoint(stated_specificity=stated_specificity, reason=reason)
    if threshold is None or not 0 < threshold < 1:  # 1 and beyond: no logit, and no image of its validation was above
        return OperatingPoint(stated_specificity=stated_specificity, reason="its validation gave no threshold")
    applied = float(probabilities(np.log([[1 - threshold, threshold]]), temperature)[0, 1])
    scores = scores_at_threshold(predictions.probs_NK[:, 1], predictions.labels_N, predictions.groups_N, applied)
    return OperatingPoint(stated_specificity=stated_specificity, threshold=applied, test=scores)


def _leak_free(task: Task, test: Predictions, overall: Scores) -> LeakFree:
    clean_N = np.array([row.leak == "" for row in test.rows], dtype=bool)
    if clean_N.all():
        scores: Scores | None = overall
    else:
        scores = _score(task, test, clean_N) if clean_N.any() else None
    if scores is None:
        reason = "development has seen every test image"
    else:
        one_class = len(np.unique(test.labels_N[clean_N])) < 2
        reason = "the leak-free test images are of one class" if one_class else ""
    return LeakFree(images=int(clean_N.sum()), scores=scores, reason=reason)
