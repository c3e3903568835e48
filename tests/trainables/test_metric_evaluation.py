"""A model judged: numbers with reasons per side, class and modality, and the folder that they are written to."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from trainables.catalog import TASKS, Task
from trainables.data.split_rows import SplitRow
from trainables.errors import DataError
from trainables.evaluation.evaluation import Evaluation, at_known_threshold, evaluate, evaluate_side
from trainables.evaluation.evaluation_files import write_evaluation
from trainables.evaluation.metrics import METRICS, ORDERED_METRICS, TWO_CLASS_METRICS
from trainables.evaluation.named_metrics import named_metrics
from trainables.evaluation.predictions import Predictions, read_predictions, results_file, without_paths
from trainables.evaluation.temperature import probabilities

STROKE, ALZHEIMER = TASKS["stroke"], TASKS["alzheimer"]


def predictions(task: Task, seed: int, num_images: int = 80, slices: int = 2, side: str = "test") -> Predictions:
    """Two slices of each patient, of alternating classes and, every other pair of patients, modalities."""
    rng = np.random.default_rng(seed)
    num_classes = len(task.classes)
    patients = np.arange(num_images) // slices
    labels_N = patients % num_classes
    logits_NK = 1.5 * np.eye(num_classes)[labels_N] + rng.normal(size=(num_images, num_classes))
    rows = [
        SplitRow(
            f"{side}/{n}.png", int(labels_N[n]), ("CT", "MR")[patient // num_classes % 2], f"p{patient}", side, f"{n}"
        )
        for n, patient in enumerate(patients.tolist())
    ]
    return Predictions((4 * logits_NK).astype(np.float32), rows)


def changed(given: Predictions, **changes) -> Predictions:
    return Predictions(given.logits_NK, [replace(row, **changes) for row in given.rows])


def only(given: Predictions, chosen_N: np.ndarray) -> Predictions:
    return Predictions(given.logits_NK[chosen_N], [row for row, kept in zip(given.rows, chosen_N, strict=True) if kept])


@pytest.fixture(scope="module")
def stroke() -> tuple[Predictions, Predictions, Evaluation]:
    validation, test = predictions(STROKE, 0, side="validation"), predictions(STROKE, 1)
    return validation, test, evaluate(STROKE, validation, test)


def test_each_modality_is_judged_by_its_own_images(stroke: tuple[Predictions, Predictions, Evaluation]) -> None:
    _, test, evaluation = stroke
    for name in ("CT", "MR"):
        chosen_N = test.modality_N == name
        scores = evaluation.test.per_modality[name]
        expected = sk.roc_auc_score(test.labels_N[chosen_N], test.probs_NK[chosen_N, 1])
        assert scores.metrics["auroc"] == pytest.approx(expected)
        assert (scores.images, scores.groups) == (40, 20)
        assert scores.intervals["auroc"][0] < expected < scores.intervals["auroc"][1]
        assert "20 groups, fewer than 30" in scores.warning
    assert evaluation.test.overall.groups == 40 and evaluation.test.overall.warning == ""


def test_a_modality_of_one_class_has_no_auroc_and_says_why() -> None:
    test = predictions(STROKE, 1)
    chosen_N = (test.modality_N == "CT") | (test.labels_N == 1)
    scores = evaluate_side(STROKE, only(test, chosen_N), 1.0).per_modality["MR"]
    needs_both = {"auroc", "average_precision", "balanced_accuracy", "mcc", "specificity"}
    assert {name for name, value in scores.metrics.items() if value is None} == needs_both | set(ORDERED_METRICS)
    assert {scores.reasons[name] for name in needs_both} == {"one class only: stroke"}
    assert scores.reasons["quadratic_kappa"] == "the classes have no order"
    assert scores.metrics["sensitivity"] is not None and "sensitivity" in scores.intervals
    assert not set(scores.no_interval) & set(scores.reasons)


def test_every_metric_has_a_value_or_a_reason_and_an_interval_or_a_reason() -> None:
    test = predictions(ALZHEIMER, 3)
    for chosen_N in (np.ones(80, dtype=bool), test.labels_N < 2, test.labels_N == 3, np.arange(80) < 1, np.zeros(80)):
        scores = evaluate_side(ALZHEIMER, only(test, chosen_N.astype(bool)), 1.0).overall
        for name in METRICS:
            assert (scores.metrics[name] is None) == (name in scores.reasons)
            if scores.metrics[name] is not None:
                assert (name in scores.intervals) != (name in scores.no_interval), name
    assert set(scores.reasons.values()) == {"no image", "it is of two classes, here are 4"}
    assert {scores.reasons[name] for name in TWO_CLASS_METRICS} == {"it is of two classes, here are 4"}


def test_severity_reaches_kappa_and_its_interval() -> None:
    test = predictions(ALZHEIMER, 0, 120)
    overall = evaluate_side(ALZHEIMER, test, 1.0).overall
    ranks = np.array(ALZHEIMER.severity_K)
    expected = sk.cohen_kappa_score(
        ranks[test.labels_N], ranks[test.probs_NK.argmax(axis=1)], labels=range(4), weights="quadratic"
    )
    assert overall.metrics["quadratic_kappa"] == pytest.approx(expected)
    low, high = overall.intervals["quadratic_kappa"]
    assert low < expected < high


def test_the_temperature_comes_from_validation_and_is_applied_to_test(
    stroke: tuple[Predictions, Predictions, Evaluation],
) -> None:
    validation, test, evaluation = stroke
    assert evaluation.temperature.value > 1.5, "planted: four times as sure"
    assert evaluation.test.calibrated["log_loss"] < evaluation.test.uncalibrated["log_loss"]
    assert evaluation.test.calibrated["ece"] < evaluation.test.uncalibrated["ece"]
    assert evaluation.test.uncalibrated["brier"] == evaluation.test.overall.metrics["brier"]
    assert evaluate(STROKE, validation, changed(test, label=0)).temperature == evaluation.temperature


def test_the_threshold_comes_from_validation_and_is_applied_to_test(
    stroke: tuple[Predictions, Predictions, Evaluation],
) -> None:
    validation, test, evaluation = stroke
    point = evaluation.operating_point
    assert point.validation.specificity[0] >= 0.95
    positive_N = test.probs_NK[:, 1] >= point.threshold
    assert point.test.sensitivity[0] == pytest.approx(positive_N[test.labels_N == 1].mean())
    assert point.test.specificity[0] == pytest.approx(1 - positive_N[test.labels_N == 0].mean())
    assert evaluate(STROKE, validation, changed(test, label=1)).operating_point.threshold == point.threshold
    without = evaluate(STROKE, only(validation, validation.labels_N == 1), test).operating_point
    assert (without.threshold, without.test) == (None, None)
    assert without.reason == "validation has no normal image to choose a threshold with"
    assert "of two classes" in evaluate(ALZHEIMER, predictions(ALZHEIMER, 0)).operating_point.reason


def test_what_development_has_seen_is_left_out_of_the_leak_free_part(
    stroke: tuple[Predictions, Predictions, Evaluation],
) -> None:
    validation, test, evaluation = stroke
    assert evaluation.test_leak_free.scores is evaluation.test.overall
    half = Predictions(
        test.logits_NK, [replace(row, leak="copy" if n >= 40 else "") for n, row in enumerate(test.rows)]
    )
    leak_free = evaluate(STROKE, validation, half).test_leak_free
    assert (leak_free.images, leak_free.scores.images, leak_free.reason) == (40, 40, "")
    expected = sk.roc_auc_score(test.labels_N[:40], test.probs_NK[:40, 1])
    assert leak_free.scores.metrics["auroc"] == pytest.approx(expected)
    seen = evaluate(STROKE, validation, changed(test, leak="copy")).test_leak_free
    assert (seen.images, seen.scores, seen.reason) == (0, None, "development has seen every test image")


def test_names_of_trackers(stroke: tuple[Predictions, Predictions, Evaluation]) -> None:
    validation, test, evaluation = stroke
    named = named_metrics(evaluation)
    assert named["test/CT/auroc"] == evaluation.test.per_modality["CT"].metrics["auroc"]
    assert named["test/CT/auroc_low"] < named["test/CT/auroc"] < named["test/CT/auroc_high"]
    assert named["test/class_stroke/recall"] == evaluation.test.overall.metrics["sensitivity"]
    assert named["test/ece_calibrated"] == evaluation.test.calibrated["ece"]
    assert named["temperature"] == evaluation.temperature.value
    assert named["test/operating_point/sensitivity"] == evaluation.operating_point.test.sensitivity[0]
    assert not [name for name in named if "quadratic_kappa" in name], "None is no number"
    odd = changed(test, modality="../T1 (3T)")
    assert not [name for name in named_metrics(evaluate(STROKE, validation, odd)) if "T1" in name], "all of test"
    mixed = Predictions(test.logits_NK, [replace(test.rows[0], modality="../T1 (3T)"), *test.rows[1:]])
    assert "test/___T1 _3T_/accuracy" in named_metrics(evaluate(STROKE, validation, mixed))


def test_class_names_that_a_tracker_refuses_are_cleaned_and_kept_apart(
    stroke: tuple[Predictions, Predictions, Evaluation],
) -> None:
    validation, test, _ = stroke
    task = replace(STROKE, classes=('<script>"x"</script>' + "y" * 99, "<script>?x?</script>" + "y" * 99))
    names = [name for name in named_metrics(evaluate(task, validation, test)) if "/class_" in name]
    assert all(re.fullmatch(r"test/class_[12] [\w -]{1,60}/\w+", name) for name in names)
    assert len(names) == 8


def test_a_folder_holds_everything_and_is_the_same_every_time(
    stroke: tuple[Predictions, Predictions, Evaluation], tmp_path: Path
) -> None:
    validation, test, evaluation = stroke
    write_evaluation(tmp_path / "a", STROKE, evaluation, validation, test)
    write_evaluation(tmp_path / "b", STROKE, evaluate(STROKE, validation, test), validation, test)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert set(files) == {
        "metrics.json", "classification_report.csv", "classification_report.json", "summary_statistics.csv",
        "stroke_classification_results.csv", "stroke_classification_results_validation.csv",
    }  # fmt: skip
    assert not [name for name, content in files.items() if b"\r" in content or b"NaN" in content]
    metrics = json.loads(files["metrics.json"])
    assert metrics["test"]["per_modality"]["MR"]["metrics"]["auroc"] is not None
    assert metrics["test"]["overall"]["reasons"] == {"quadratic_kappa": "the classes have no order"}
    assert metrics["temperature"]["value"] == evaluation.temperature.value
    assert metrics["test_leak_free"]["images"] == 80
    rows = list(csv.DictReader((tmp_path / "a" / "summary_statistics.csv").open()))
    assert [(row["side"], row["image_type"]) for row in rows] == [
        (side, image_type) for side in ("validation", "test") for image_type in ("all", "CT", "MR")
    ]
    for row in rows:
        tn, fp, fn, tp = (int(row[name]) for name in ("tn", "fp", "fn", "tp"))
        assert tn + fp + fn + tp == int(row["images"])
        assert float(row["accuracy"]) == (tn + tp) / int(row["images"])


def test_a_threshold_of_validation_does_the_same_to_probabilities_after_temperature(
    stroke: tuple[Predictions, Predictions, Evaluation],
) -> None:
    _, test, evaluation = stroke
    temperature, point = evaluation.temperature.value, evaluation.operating_point
    assert abs(temperature - 1) > 0.2
    after = Predictions(np.log(probabilities(test.logits_NK, temperature)), test.rows)
    again = at_known_threshold(STROKE, after, point.stated_specificity, point.threshold, temperature)
    assert again.test == point.test
    assert again.threshold != pytest.approx(point.threshold, abs=1e-3)
    assert again.test != at_known_threshold(STROKE, after, 0.95, point.threshold, 10.0).test, "it depends on it"
    for threshold in (None, 1.0, float(np.nextafter(1, 2))):
        assert at_known_threshold(STROKE, after, 0.95, threshold, 1.5).reason == "its validation gave no threshold"
    assert "two classes" in at_known_threshold(ALZHEIMER, after, 0.95, 0.5, 1.0).reason


def test_the_table_of_predictions(tmp_path: Path) -> None:
    test = predictions(ALZHEIMER, 0)
    evaluation = evaluate(ALZHEIMER, test, test)
    write_evaluation(tmp_path, ALZHEIMER, evaluation, test, test)
    path = tmp_path / results_file("alzheimer", "test")
    assert path.name == "alzheimer_classification_results.csv"
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == [
        "path", "true_label", "predicted_label",
        *(f"logit_{name}" for name in ALZHEIMER.classes), *(f"p_{name}" for name in ALZHEIMER.classes),
        "image_type", "correct_prediction", "case", "group", "leak",
    ]  # fmt: skip
    assert [row["path"] for row in rows] == [row.path for row in test.rows]
    assert np.float32(rows[5]["logit_non"]) == test.logits_NK[5, 2]
    for row in rows:
        assert row["correct_prediction"] == str(row["true_label"] == row["predicted_label"])
    read = read_predictions(path, ALZHEIMER.classes, "test")
    assert (read.logits_NK == test.logits_NK).all(), "to the last digit"
    assert (read.labels_N == test.labels_N).all()
    assert "tn" not in (tmp_path / "summary_statistics.csv").read_text().splitlines()[0].split(",")


def test_an_evaluation_can_be_made_again_from_its_tables_without_names_of_files(tmp_path: Path) -> None:
    validation, test = predictions(STROKE, 0), predictions(STROKE, 1)
    evaluation = evaluate(STROKE, validation, test)
    write_evaluation(tmp_path, STROKE, evaluation, validation, test)
    again = []
    for side in ("validation", "test"):
        without_paths(tmp_path / results_file("stroke", side), tmp_path / f"{side}.csv")
        header = (tmp_path / f"{side}.csv").read_text().partition("\n")[0].split(",")
        assert "path" not in header and {"case", "group", "leak"} <= set(header)
        again.append(read_predictions(tmp_path / f"{side}.csv", STROKE.classes, side))
    assert evaluate(STROKE, *again) == evaluation
    (tmp_path / "test.csv").write_text("case,group\n1,2\n")
    with pytest.raises(DataError, match="no table of predictions of these classes"):
        read_predictions(tmp_path / "test.csv", STROKE.classes, "test")


def test_the_classification_report_is_scikit_learns(tmp_path: Path) -> None:
    validation = predictions(ALZHEIMER, 0)
    write_evaluation(tmp_path, ALZHEIMER, evaluate(ALZHEIMER, validation), validation)
    report = json.loads((tmp_path / "classification_report.json").read_text())["validation"]
    expected = sk.classification_report(
        validation.labels_N, validation.probs_NK.argmax(axis=1), target_names=ALZHEIMER.classes, output_dict=True
    )
    for name, row in report.items():
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[ours] == pytest.approx(expected[name][theirs]), (name, ours)
        assert row["support"] == expected[name]["support"]
    rows = list(csv.DictReader((tmp_path / "classification_report.csv").open()))
    assert [row["class"] for row in rows] == [*ALZHEIMER.classes, "macro avg", "weighted avg"]
    blind = Predictions(np.tile([[1.0, 0.0]], (10, 1)), predictions(STROKE, 0, 10).rows)
    write_evaluation(tmp_path, STROKE, evaluate(STROKE, blind), blind)
    by_class = {row["class"]: row for row in csv.DictReader((tmp_path / "classification_report.csv").open())}
    assert (by_class["stroke"]["precision"], by_class["stroke"]["reason"]) == ("", "never predicted")


def test_one_image_is_enough() -> None:
    one = only(predictions(STROKE, 0), np.arange(80) < 1)
    evaluation = evaluate(STROKE, one, one)
    assert evaluation.test.overall.metrics["accuracy"] in (0, 1)
    assert evaluation.test.overall.reasons["auroc"] == "one class only: normal"
    assert evaluation.test_leak_free.reason == "the leak-free test images are of one class"
