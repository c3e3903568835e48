"""Finalists: the best epoch's weights on validation and, once, on test, as Ray tasks on the sweep's slots."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import ray

from orchestrator.journal import FinalistEvaluated
from orchestrator.tuning.hang_guard import ended_if_hanging, judging_limit_s
from orchestrator.tuning.stored_trials import TrialPlace, keep_results, results_here, setup_here, test_data_here
from orchestrator.tuning.test_data import TestData
from orchestrator.tuning.trial import judge_trial, train_weights_again
from orchestrator.tuning.trial_log import MOST_TIMES_KILLED, in_log
from orchestrator.tuning.trial_setup import TrialConfig, TrialSetup
from trainables.errors import WeightsError
from trainables.evaluation.evaluation import Evaluation
from trainables.evaluation.evaluation_files import EXPLANATIONS, FOR_EVIDENCE, WEIGHTS_DIGEST_FILE
from trainables.evaluation.named_metrics import explanation_metrics, named_metrics
from trainables.evaluation.trial_files import BEST_WEIGHTS


def submit_finalist(
    config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path, cpus: int, gpu_share: float
) -> "ray.ObjectRef[FinalistEvaluated]":
    """Start the evaluation of one finalist; its folder receives metrics and tables."""
    task: Any = ray.remote(num_cpus=cpus, num_gpus=gpu_share, max_retries=MOST_TIMES_KILLED)(_evaluate)
    reference: ray.ObjectRef[FinalistEvaluated] = task.remote(config, setup, test, folder)
    return reference


def _evaluate(config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path) -> FinalistEvaluated:
    setup = setup_here(setup)
    place = TrialPlace(setup, config)
    place.begin(with_states=False)
    with in_log(setup.trial_folder(config)):
        results = results_here(folder, setup)
        event = evaluate_finalist(config, setup, test_data_here(test, setup), results)
        place.keep(is_last=True)  # weights may have been trained again
        keep_results(results, setup)
    place.leave()
    return event


def evaluate_finalist(config: TrialConfig, setup: TrialSetup, test: TestData, folder: Path) -> FinalistEvaluated:
    """Return what the journal keeps of a finalist on validation and test; its folder receives all of it.

    Weights that are missing or damaged are trained again, to the best epoch: the next best trial's are long removed.
    """
    name = f"trial {config.trial} ({config.architecture})"
    try:
        evaluation = _judged(folder, config, setup, test, name)
    except WeightsError:
        if not config.best_epoch:
            raise
        train_weights_again(config, setup)
        evaluation = _judged(folder, config, setup, test, name)
    with (setup.trial_folder(config) / BEST_WEIGHTS).open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    (folder / FOR_EVIDENCE / WEIGHTS_DIGEST_FILE).write_text(digest, encoding="ascii")
    _keep_epoch_weights(setup.trial_folder(config), folder / "checkpoints")
    return for_journal(config.trial, evaluation, explanation_metrics(folder / EXPLANATIONS))


def _judged(folder: Path, config: TrialConfig, setup: TrialSetup, test: TestData, name: str) -> Evaluation:
    with ended_if_hanging(judging_limit_s(setup, config.architecture)):
        return judge_trial(folder, config, setup, test, name, "final evaluation of a finalist")


def _keep_epoch_weights(trial: Path, checkpoints: Path) -> None:
    """Put the weights of every nth epoch beside the evaluation, which is what MLflow receives."""
    for path in sorted(trial.glob("model_epoch_*.safetensors")):
        checkpoints.mkdir(exist_ok=True)
        shutil.copyfile(path, checkpoints / path.name)


def for_journal(trial: int, evaluation: Evaluation, explained: dict[str, float]) -> FinalistEvaluated:
    """Return what the journal keeps of an evaluation, and of what its explanations are worth."""
    test, leak_free = evaluation.test, evaluation.test_leak_free
    assert test is not None and leak_free is not None
    return FinalistEvaluated(
        trial=trial,
        validation=evaluation.validation.overall.metrics,
        test=test.overall.metrics,
        test_intervals=test.overall.intervals,
        test_groups=test.overall.groups,
        test_leak_free=leak_free.scores.metrics if leak_free.scores else None,
        leak_free_intervals=leak_free.scores.intervals if leak_free.scores else {},
        leak_free_images=leak_free.images,
        leak_free_reason=leak_free.reason,
        further=named_metrics(evaluation) | explained,
    )
