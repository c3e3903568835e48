from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher
from sweep_support import EPOCHS, epoch, make_plan, open_sweep

from orchestrator.journal import ArchitectureGivenUp, MicroBatchLimited, SweepResumed, TrialEnded, TrialStarted
from orchestrator.open_sweep import OpenSweep
from orchestrator.space import Choice, Fixed
from orchestrator.tuning.searcher import OptunaSearcher
from orchestrator.tuning.stopping import Stopping
from trainables.catalog import default_hyperparameters


class Searched:
    """A searcher on a sweep of its own, and what Tune would tell it."""

    def __init__(self, sweep: OpenSweep, limit: Callable[[], int] = lambda: 4, going_on: tuple[int, ...] = ()) -> None:
        self.sweep, self.stopping = sweep, Stopping()
        self.searcher = OptunaSearcher(sweep, Path("setup.json"), going_on, self.stopping, limit)

    def suggest(self, trial_id: str) -> Any:
        return self.searcher.suggest(trial_id)

    def report(self, trial_id: str, last: dict) -> None:
        self.searcher.on_trial_result(trial_id, last)
        number = self.searcher._numbers[trial_id]
        self.sweep.append(epoch(number, last["epoch"], last["val/auroc"]))

    def complete(self, trial_id: str, last: dict | None, error: bool = False, state: str = "completed") -> None:
        number = self.searcher._numbers[trial_id]
        if last and "epoch" in last:
            self.sweep.append(epoch(number, last["epoch"], last["val/auroc"]))
        self.searcher.on_trial_complete(trial_id, last, error=error)
        if error:
            self.searcher.give_up(number)
        self.sweep.append(TrialEnded(trial=number, state=state, reason=""))

    @property
    def told(self) -> list[optuna.trial.FrozenTrial]:
        (study,) = self.searcher._studies._studies.values()
        return study.trials

    def run_through(self, trials: int) -> list[dict]:
        configs = []
        for index in range(trials):
            config = self.suggest(f"t{index}")
            assert isinstance(config, dict)
            configs.append(config)
            self.sweep.append(TrialStarted(trial=config["trial"]))
            score = 0.5 + 0.01 * (config["trial"] * 7 % 10)
            stopped = config["trial"] % 3 == 2
            for at in range(1, 3 if stopped else EPOCHS):
                self.report(f"t{index}", result(at, score))
            last = result(3 if stopped else EPOCHS, score + 0.1)
            self.complete(f"t{index}", last, state="pruned" if stopped else "completed")
        return configs


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Searched]]:
    contexts = []

    def searched(limit: Callable[[], int] = lambda: 4, **settings: Any) -> Searched:
        context = open_sweep(tmp_path / f"s{len(contexts)}", make_plan(**settings))
        contexts.append(context)
        return Searched(context.__enter__(), limit)

    yield searched
    for context in contexts:
        context.__exit__(None, None, None)


def result(at: int, auroc: float | None) -> dict:
    return {"epoch": at, "val/auroc": auroc}


def test_trial_0_is_the_files_defaults_and_every_config_is_whole(make) -> None:
    configs = make().run_through(3)
    first = configs[0]["hyperparameters"]
    assert (first["lr"], first["resnet"], first["batch_size"]) == (3e-4, "resnet10t", 16)
    assert [config["trial"] for config in configs] == [0, 1, 2]
    assert all(set(config["hyperparameters"]) == set(default_hyperparameters("resnet_vit")) for config in configs)
    assert configs[1]["hyperparameters"] != first
    assert not configs[0]["published"], "the preset changed the published configuration"
    assert len({config["seed"] for config in configs}) == 3


def test_no_more_trials_at_once_than_slots_and_new_slots_are_used(make) -> None:
    slots = {"now": 4}
    searched = make(limit=lambda: slots["now"])
    assert all(isinstance(searched.suggest(f"t{number}"), dict) for number in range(4))
    assert searched.suggest("t4") is None
    slots["now"] = 5
    assert isinstance(searched.suggest("t4"), dict)
    assert searched.suggest("t5") is None
    searched.complete("t0", result(EPOCHS, 0.7))
    assert isinstance(searched.suggest("t5"), dict)


def test_the_budget_ends_the_search(make) -> None:
    searched = make(budget__trials=2)
    searched.run_through(2)
    assert searched.suggest("t2") == Searcher.FINISHED


def test_a_stop_request_ends_the_search(make) -> None:
    searched = make()
    searched.stopping.request("user")
    assert searched.suggest("t0") == Searcher.FINISHED


def test_a_trial_stopped_early_is_pruned_with_the_report_that_stopped_it(make) -> None:
    searched = make()
    searched.suggest("t0")
    searched.report("t0", result(1, 0.7))
    searched.complete("t0", result(2, 0.4), state="pruned")
    (trial,) = searched.told
    assert trial.state == TrialState.PRUNED
    assert trial.intermediate_values == {1: 0.7, 2: 0.4}


def test_one_that_lost_patience_is_complete(make) -> None:
    searched = make()
    searched.suggest("t0")
    searched.complete("t0", {**result(2, 0.4), "stopped": "no better val/auroc for 1 epochs after epoch 1"})
    assert searched.told[0].state == TrialState.COMPLETE


def test_a_whole_trial_is_complete_with_its_best_score(make) -> None:
    searched = make()
    searched.suggest("t0")
    for at, auroc in enumerate([0.6, 0.9, 0.7, 0.8, 0.7], start=1):
        searched.report("t0", result(at, auroc))
    searched.complete("t0", result(EPOCHS, 0.65))
    assert searched.told[0].state == TrialState.COMPLETE
    assert searched.told[0].value == 0.9


@pytest.mark.parametrize(
    ("reported", "last", "error"),
    [
        (True, {"failed": "epoch 2: loss is nan", "done": True}, False),
        (True, None, True),
        (False, {"done": True}, False),
    ],
)
def test_a_broken_trial_is_told_as_failed(make, reported: bool, last, error: bool) -> None:
    searched = make()
    searched.suggest("t0")
    if reported:
        searched.report("t0", result(1, 0.7))
    searched.complete("t0", last, error=error, state="failed")
    assert searched.told[0].state == TrialState.FAIL


def test_a_metric_that_is_missing_is_not_reported(make) -> None:
    searched = make()
    searched.suggest("t0")
    searched.report("t0", result(1, None))
    searched.complete("t0", result(EPOCHS, 0.6))
    assert searched.told[0].intermediate_values == {EPOCHS: 0.6}


@cache
def undisturbed(algorithm: str) -> list[dict]:
    plan = make_plan(search__algorithm=algorithm, budget__trials=16)
    with TemporaryDirectory() as folder, open_sweep(Path(folder), plan) as sweep:
        return Searched(sweep).run_through(16)


@pytest.mark.parametrize("algorithm", ["tpe", "random", "cmaes", "gp"])
def test_same_seed_same_proposals(make, algorithm: str) -> None:
    settings = {"search__algorithm": algorithm, "budget__trials": 16}
    one = undisturbed(algorithm)
    assert make(**settings).run_through(16) == one
    other = make(**settings, seed=1).run_through(16)
    assert [config["hyperparameters"] for config in other[1:]] != [config["hyperparameters"] for config in one[1:]]


@pytest.mark.parametrize("algorithm", ["tpe", "random", "cmaes", "gp"])
@pytest.mark.parametrize("after", [1, 5, 14])
def test_a_sweep_that_goes_on_proposes_what_an_undisturbed_one_would(
    tmp_path: Path, algorithm: str, after: int
) -> None:
    plan = make_plan(search__algorithm=algorithm, budget__trials=16)
    with open_sweep(tmp_path / "broken", plan) as sweep:
        before = Searched(sweep).run_through(after)
    with open_sweep(tmp_path / "broken") as sweep:
        rest = Searched(sweep).run_through(16 - after)
    assert before + rest == undisturbed(algorithm)


def test_an_interrupted_trial_comes_first_and_keeps_number_seed_and_epochs(tmp_path: Path) -> None:
    def end_of_last(searched: Searched, trial_id: str) -> dict:
        searched.complete(trial_id, result(EPOCHS, 0.9))
        return searched.suggest("next")["hyperparameters"]

    plan = make_plan(budget__trials=16)
    with open_sweep(tmp_path / "whole", plan) as sweep:
        whole = Searched(sweep)
        whole.run_through(13)  # the sampler is past its random beginning
        whole.suggest("t13")
        whole.report("t13", result(1, 0.6))
        undisturbed = end_of_last(whole, "t13")
    with open_sweep(tmp_path / "s", plan) as sweep:
        searched = Searched(sweep)
        searched.run_through(13)
        config = searched.suggest("t13")
        searched.report("t13", result(1, 0.6))
        told = searched.told
    with open_sweep(tmp_path / "s") as sweep:
        again = Searched(sweep, going_on=(13,))
        assert again.suggest("x") == {**config, "known_epochs": 1}
        assert [(t.params, t.state, t.intermediate_values) for t in again.told] == [
            (t.params, t.state, t.intermediate_values) for t in told
        ]
        again.searcher.on_trial_result("x", result(1, 0.6))
        assert again.told[13].intermediate_values == {1: 0.6}
        assert end_of_last(again, "x") == undisturbed


def test_a_raised_budget_is_used(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__trials=2)) as sweep:
        Searched(sweep).run_through(2)
    with open_sweep(tmp_path / "s") as sweep:
        more = make_plan(budget__trials=3)
        sweep.append(SweepResumed(plan=more, plan_digest="", slots=1, device="cpu", versions={}, git={}))
        (config,) = Searched(sweep).run_through(1)
        assert config["trial"] == 2


def test_points_of_the_file_come_after_the_defaults(make) -> None:
    points = "{resnet_vit: [{lr: 1e-4, hidden: 128}, {batch_size: 8}]}"
    configs = make(search__enqueue=points).run_through(4)
    assert [config["hyperparameters"]["lr"] for config in configs[:3]] == [3e-4, 1e-4, 3e-4]
    assert (configs[1]["hyperparameters"]["hidden"], configs[2]["hyperparameters"]["batch_size"]) == (128, 8)


@pytest.mark.parametrize(("algorithm", "published"), [("tpe", [True, False]), ("fixed", [False, False])])
def test_only_the_defaults_are_what_was_published(tmp_path: Path, algorithm: str, published: list[bool]) -> None:
    plan = make_plan(algorithm=algorithm, search__enqueue="{resnet_vit: [{lr: 1e-4}, {batch_size: 8}]}")
    plan = plan.model_copy(update={"published": {"resnet_vit": True}})
    with open_sweep(tmp_path / "s", plan) as sweep:
        configs = Searched(sweep).run_through(2)
    assert [config["published"] for config in configs] == published


SMALL_SPACE = {
    "batch_size": Choice(choices=(8, 16), default=16),
    "imbalance": Choice(choices=("none", "focal"), default="none"),
    "focal_gamma": Choice(choices=(1.0, 2.0), default=2.0, when={"imbalance": ("focal",)}),
    "hidden": Fixed(default=64),
}


def test_a_grid_tries_every_point_once_and_ends(make) -> None:
    searched = make(budget__trials=50, architectures={"resnet_vit": SMALL_SPACE}, algorithm="grid")
    configs = searched.run_through(6)
    assert searched.suggest("end") == Searcher.FINISHED
    tried = [tuple(config["hyperparameters"][name] for name in SMALL_SPACE) for config in configs]
    assert tried[0] == (16, "none", 2.0, 64)
    assert len(set(tried)) == 6


def test_adaptive_lets_the_sampler_choose_after_each_had_its_defaults(make) -> None:
    spaces = {"resnet_vit": SMALL_SPACE, "baseline_cnn": {"batch_size": Choice(choices=(8, 32), default=32)}}
    searched = make(search__allocation="adaptive", budget__trials=30, architectures=spaces)
    configs = searched.run_through(30)
    names = [config["architecture"] for config in configs]
    assert names[:2] == ["resnet_vit", "baseline_cnn"]
    assert configs[0]["hyperparameters"]["batch_size"] == 16
    assert configs[1]["hyperparameters"]["batch_size"] == 32
    assert set(names[2:]) == set(spaces)
    assert names[2:] != [names[n % 2] for n in range(2, 30)], "not simply in turn"
    assert all(set(c["hyperparameters"]) == set(default_hyperparameters(c["architecture"])) for c in configs)


def test_equal_takes_architectures_in_turn(make) -> None:
    spaces = {"resnet_vit": SMALL_SPACE, "baseline_cnn": {"batch_size": Choice(choices=(8, 32), default=32)}}
    configs = make(architectures=spaces).run_through(6)
    assert [config["architecture"] for config in configs] == list(spaces) * 3


def test_an_architecture_whose_first_trials_fail_alike_is_given_up(make) -> None:
    spaces = {"resnet_vit": SMALL_SPACE, "baseline_cnn": {"batch_size": Choice(choices=(8, 32), default=32)}}
    searched = make(architectures=spaces, budget__trials=12)
    for index in range(12):
        config = searched.suggest(f"t{index}")
        assert isinstance(config, dict)
        broken = config["architecture"] == "baseline_cnn"
        searched.searcher.on_trial_complete(f"t{index}", None if broken else result(EPOCHS, 0.7), error=broken)
        reason = f"epoch {index}: no kernel image is available" if broken else ""
        searched.sweep.append(
            TrialEnded(trial=config["trial"], state="failed" if broken else "completed", reason=reason)
        )
    names = [trial.architecture for trial in searched.sweep.state.trials.values()]
    assert names.count("baseline_cnn") == 3
    assert len(names) == 12, "its share goes to the others"
    assert searched.sweep.state.given_up == {
        "baseline_cnn": "its first 3 trials failed alike: epoch 1: no kernel image is available"
    }


def test_an_adaptive_search_proposes_nothing_more_of_what_was_given_up(make) -> None:
    spaces = {"resnet_vit": SMALL_SPACE, "baseline_cnn": {"batch_size": Choice(choices=(8, 32), default=32)}}
    searched = make(search__allocation="adaptive", budget__trials=16, architectures=spaces)
    searched.sweep.append(ArchitectureGivenUp(architecture="baseline_cnn", reason="no kernel image is available"))
    configs = searched.run_through(16)
    assert {config["architecture"] for config in configs} == {"resnet_vit"}
    assert sum(trial.state == TrialState.FAIL for trial in searched.told) > 0, "the sampler wanted the other one, too"
    assert sum(trial.state != TrialState.FAIL for trial in searched.told) == 16
    assert all(set(config["hyperparameters"]) == set(default_hyperparameters("resnet_vit")) for config in configs)


def test_trials_that_fail_in_different_ways_end_nothing(make) -> None:
    searched = make()
    for index, reason in enumerate(["loss is nan", "out of memory", "loss is nan"]):
        searched.suggest(f"t{index}")
        searched.searcher.on_trial_complete(f"t{index}", None, error=True)
        searched.sweep.append(TrialEnded(trial=index, state="failed", reason=reason))
    assert isinstance(searched.suggest("t3"), dict)


def test_later_trials_take_no_more_images_at_a_time_than_there_was_room_for(make) -> None:
    searched = make(batch_size=16)
    searched.sweep.append(MicroBatchLimited(trial=0, architecture="resnet_vit", micro_batch_size=4))
    config = searched.suggest("t0")
    assert (config["hyperparameters"]["batch_size"], config["hyperparameters"]["micro_batch_size"]) == (16, 4)


def test_optuna_dashboards_file_holds_every_trial_once(tmp_path: Path) -> None:
    plan = make_plan(budget__trials=5)
    with open_sweep(tmp_path / "s", plan) as sweep:
        Searched(sweep).run_through(3)
    with open_sweep(tmp_path / "s") as sweep:
        Searched(sweep).run_through(2)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "s" / "optuna.log"))
    study = optuna.load_study(study_name="resnet_vit", storage=optuna.storages.JournalStorage(backend))
    assert [trial.user_attrs["orchestrate.trial"] for trial in study.trials] == [0, 1, 2, 3, 4]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    assert study.trials[2].intermediate_values.keys() == {1, 2, 3}


def test_a_torn_dashboard_file_is_written_anew(tmp_path: Path) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__trials=5)) as sweep:
        Searched(sweep).run_through(3)
    path = tmp_path / "s" / "optuna.log"
    for tear in (lambda whole: whole[:-20], lambda whole: whole[:-20] + b"\n" + whole[-200:]):
        path.write_bytes(tear(path.read_bytes()))
        with open_sweep(tmp_path / "s") as sweep:
            Searched(sweep)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        study = optuna.load_study(study_name="resnet_vit", storage=storage)
        assert [trial.user_attrs["orchestrate.trial"] for trial in study.trials] == [0, 1, 2]


@pytest.mark.parametrize("content", [b'{"op_code":99,"worker_id":"w"}\n', b"[1]\n", b"3\n", b"\xff\n", None])
def test_a_dashboard_file_that_optuna_cannot_read_is_put_aside(tmp_path: Path, content: bytes | None) -> None:
    with open_sweep(tmp_path / "s", make_plan(budget__trials=3)) as sweep:
        Searched(sweep).run_through(2)
    path, aside = tmp_path / "s" / "optuna.log", tmp_path / "s" / "optuna.log.damaged"
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    with open_sweep(tmp_path / "s") as sweep:
        Searched(sweep).run_through(1)
    assert aside.is_dir() if content is None else aside.read_bytes() == content
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.load_study(study_name="resnet_vit", storage=storage)
    assert [trial.user_attrs["orchestrate.trial"] for trial in study.trials] == [0, 1, 2]


@pytest.mark.parametrize("fault", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_where_there_can_be_no_dashboard_file_the_sweep_goes_on(
    make, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    def refuse(*about: object) -> None:
        raise fault

    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "__init__", refuse)
    searched = make(budget__trials=3)
    assert len(searched.run_through(3)) == 3
    assert not (searched.sweep.folder / "optuna.log").exists()


def test_a_dashboard_file_that_cannot_be_written_costs_nothing(make, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = make(budget__trials=3)

    def full(self, logs) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", full)
    assert len(searched.run_through(3)) == 3
