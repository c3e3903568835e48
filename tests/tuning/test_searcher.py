from pathlib import Path

import pytest
import ray
from optuna.trial import TrialState
from plan_support import data_summary
from ray.tune.search import Searcher

from orchestrator.plan import SweepPlan
from orchestrator.sweep_file import find_sweep_file, load_sweep_file
from orchestrator.tuning.searcher import OptunaSearcher
from trainables.catalog import default_hyperparameters

EPOCHS = 6


@pytest.fixture(autouse=True)
def four_slots(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    cluster = {"CPU": 4.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: cluster)
    return cluster


def make_plan(trials: int = 10, seed: int = 0, algorithm: str = "tpe") -> SweepPlan:
    file = load_sweep_file(
        find_sweep_file("stroke_hybrid"), "quick", {"budget.trials": str(trials), "search.algorithm": algorithm}
    )
    return SweepPlan(
        sweep="stroke_hybrid", task="stroke", classes=("normal", "stroke"), preset="quick", weights="random", seed=seed,
        data=data_summary("real"),
        metric="auroc", direction="max", architectures=file.architectures, published={"resnet_vit": False},
        budget=file.budget, search=file.search, scheduler=file.scheduler,
    )  # fmt: skip


def make_searcher(**changes) -> OptunaSearcher:
    return OptunaSearcher(make_plan(**changes), Path("setup.json"), lambda: False)


def result(epoch: int, auroc: float | None) -> dict:
    return {"epoch": epoch, "val/auroc": auroc}


def told(searcher: OptunaSearcher):
    return searcher._studies["resnet_vit"].trials


def run_through(searcher: OptunaSearcher, trials: int) -> list[dict]:
    configs = []
    for number in range(trials):
        config = searcher.suggest(f"t{number}")
        assert isinstance(config, dict)
        configs.append(config)
        for epoch in range(1, EPOCHS):
            searcher.on_trial_result(f"t{number}", result(epoch, 0.5 + 0.01 * number))
        searcher.on_trial_complete(f"t{number}", result(EPOCHS, 0.6 + 0.01 * number))
    return configs


def test_trial_0_is_the_files_defaults_and_every_config_is_whole() -> None:
    searcher = make_searcher()
    configs = run_through(searcher, 3)
    first = configs[0]["hyperparameters"]
    assert (first["lr"], first["resnet"], first["batch_size"]) == (3e-4, "resnet10t", 16)
    assert [config["trial"] for config in configs] == [0, 1, 2]
    assert all(set(config["hyperparameters"]) == set(default_hyperparameters("resnet_vit")) for config in configs)
    assert configs[1]["hyperparameters"] != first
    assert not configs[0]["published"], "the preset changed the published configuration"
    assert len({config["seed"] for config in configs}) == 3


def test_no_more_trials_at_once_than_slots_and_new_slots_are_used(four_slots) -> None:
    searcher = make_searcher()
    assert all(isinstance(searcher.suggest(f"t{number}"), dict) for number in range(4))
    assert searcher.suggest("t4") is None
    four_slots["CPU"] = 5.0
    assert isinstance(searcher.suggest("t4"), dict)
    assert searcher.suggest("t5") is None
    searcher.on_trial_complete("t0", result(EPOCHS, 0.7))
    assert isinstance(searcher.suggest("t5"), dict)


def test_the_budget_ends_the_search() -> None:
    searcher = make_searcher(trials=2)
    run_through(searcher, 2)
    assert searcher.suggest("t2") == Searcher.FINISHED


def test_a_stop_request_ends_the_search() -> None:
    searcher = OptunaSearcher(make_plan(), Path("setup.json"), lambda: True)
    assert searcher.suggest("t0") == Searcher.FINISHED


def test_a_trial_stopped_early_is_pruned_with_the_report_that_stopped_it() -> None:
    searcher = make_searcher()
    searcher.suggest("t0")
    searcher.on_trial_result("t0", result(1, 0.7))
    searcher.on_trial_complete("t0", result(2, 0.4))
    trial = told(searcher)[0]
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.7, 2: 0.4}


def test_a_whole_trial_is_complete_with_its_best_score() -> None:
    searcher = make_searcher()
    searcher.suggest("t0")
    for epoch, auroc in enumerate([0.6, 0.9, 0.7, 0.8, 0.7], start=1):
        searcher.on_trial_result("t0", result(epoch, auroc))
    searcher.on_trial_complete("t0", result(EPOCHS, 0.65))
    assert told(searcher)[0].state == TrialState.COMPLETE
    assert told(searcher)[0].value == 0.9


@pytest.mark.parametrize(
    ("last", "error"),
    [({"failed": "epoch 2: loss is nan", "done": True}, False), (None, True), ({"done": True}, False)],
)
def test_a_broken_trial_is_told_as_failed(last, error: bool) -> None:
    searcher = make_searcher()
    searcher.suggest("t0")
    searcher.on_trial_result("t0", result(1, 0.7))
    if last == {"done": True}:
        searcher = make_searcher()
        searcher.suggest("t0")
    searcher.on_trial_complete("t0", last, error=error)
    assert told(searcher)[0].state == TrialState.FAIL


def test_a_metric_that_is_missing_is_not_reported() -> None:
    searcher = make_searcher()
    searcher.suggest("t0")
    searcher.on_trial_result("t0", result(1, None))
    searcher.on_trial_complete("t0", result(EPOCHS, 0.6))
    assert told(searcher)[0].intermediate_values == {EPOCHS: 0.6}


@pytest.mark.parametrize("algorithm", ["tpe", "random"])
def test_same_seed_same_proposals(algorithm: str) -> None:
    one = run_through(make_searcher(algorithm=algorithm, trials=20), 20)
    assert run_through(make_searcher(algorithm=algorithm, trials=20), 20) == one
    other = run_through(make_searcher(algorithm=algorithm, trials=20, seed=1), 20)
    assert [config["hyperparameters"] for config in other[1:]] != [config["hyperparameters"] for config in one[1:]]
