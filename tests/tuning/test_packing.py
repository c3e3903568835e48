"""Architectures of differing size: a share of a GPU for each, one fit for each size, and the trials of a single fit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from sweep_support import make_plan, open_sweep

from orchestrator import preflight
from orchestrator.errors import Interrupted
from orchestrator.journal import ArchitectureChecked, SweepEnded, SweepResumed
from orchestrator.open_sweep import OpenSweep
from orchestrator.plan import SweepPlan
from orchestrator.preflight import with_packed_slots
from orchestrator.space import Choice, FloatRange
from orchestrator.sweep import PreparedSweep
from orchestrator.sweep_planning import PlannedSweep
from orchestrator.tuning import resources, runner
from orchestrator.tuning.packing import groups_of, part_of_time
from orchestrator.tuning.resources import Slots, find_slots, packed_slots
from orchestrator.tuning.stopping import Stopping
from orchestrator.tuning.trial_files import TrialFiles

EPOCHS = 2
SPACE = {
    "lr": FloatRange(low=1e-5, high=1e-2, log=True, default=1e-3),
    "batch_size": Choice(choices=(8, 16), default=16),
}
NAMES = ("generic_cnn", "resnet_vit", "baseline_cnn")
ALIKE = Slots(1, 1, 0.0, 0)
PACKED = Slots(8, 1, 1.0, 1, shares={"generic_cnn": 0.125, "resnet_vit": 1.0, "baseline_cnn": 0.125})


class Tuner:
    """Stands for Ray Tune's: runs one trial after another, as `score` and `fault` of a trial's number say."""

    fits: ClassVar[list[tuple[float, list[int]]]]  # share of a GPU, trials
    score: ClassVar[Callable[[int], float]]
    fault: ClassVar[Callable[[str], str]]
    interrupted_in: ClassVar[int | None]  # a trial, after its first epoch

    def __init__(self, trainable: Any, *, tune_config: Any, run_config: Any) -> None:
        self.gpu_share = trainable.default_resource_request({}).required_resources.get("GPU", 0.0)
        self.searcher, self.stopping = tune_config.search_alg, run_config.stop
        (self.recorder,) = run_config.callbacks

    def fit(self) -> None:
        trials: list[int] = []
        self.fits.append((self.gpu_share, trials))
        while isinstance(config := self.searcher.suggest(f"t{len(trials)}"), dict):
            trials.append(config["trial"])
            self.train(f"t{len(trials) - 1}", config)

    def train(self, trial_id: str, config: dict[str, Any]) -> None:
        trial = SimpleNamespace(trial_id=trial_id, config=config, last_result={})
        self.recorder.on_trial_start(0, [], trial)
        fault = Tuner.fault(config["architecture"])
        for epoch in range(config["known_epochs"] + 1, 1 if fault else EPOCHS + 1):
            trial.last_result = {"epoch": epoch, "val/auroc": Tuner.score(config["trial"]), "stopped": ""}
            self.recorder.on_trial_result(0, [], trial, trial.last_result)
            self.searcher.on_trial_result(trial_id, trial.last_result)
            if config["trial"] == Tuner.interrupted_in:
                Tuner.interrupted_in = None
                self.stopping.request("user")
                raise KeyboardInterrupt
        if fault:
            trial.last_result = {"failed": fault}
        self.searcher.on_trial_complete(trial_id, trial.last_result)
        self.recorder.on_trial_complete(0, [], trial)


@pytest.fixture(autouse=True)
def tuner(monkeypatch: pytest.MonkeyPatch) -> type[Tuner]:
    Tuner.fits, Tuner.interrupted_in = [], None
    Tuner.score, Tuner.fault = lambda number: 0.5 + number * 7 % 10 / 100, lambda name: ""
    monkeypatch.setattr(runner.tune, "Tuner", Tuner)
    monkeypatch.setattr(runner, "ClusterRoom", lambda slots: lambda: 1)
    return Tuner


def plan_of(trials: int, *, algorithm: str = "random", **settings: object) -> SweepPlan:
    spaces = dict.fromkeys(NAMES, SPACE)
    return make_plan(
        architectures=spaces, algorithm=algorithm, budget__trials=trials, budget__epochs=EPOCHS,
        scheduler__name="none", **settings,
    )  # fmt: skip


def run(sweep: OpenSweep, slots: Slots, stopping: Stopping | None = None) -> dict[int, tuple[object, ...]]:
    files = TrialFiles(sweep.folder / "trials", sweep.state)
    runner.run_trials(sweep, sweep.folder / "setup.json", slots, stopping or Stopping(), files)
    return {t.number: (t.architecture, t.hyperparameters, t.seed, t.state) for t in sweep.state.trials.values()}


def checked(name: str, step_s: float = 1.0, peak_mib: float | None = None) -> ArchitectureChecked:
    return ArchitectureChecked(
        architecture=name, trainable_parameters=10, total_parameters=10, step_s=step_s, steps_per_epoch=1,
        peak_memory_mib=peak_mib,
    )  # fmt: skip


def test_fits_by_size_try_what_a_single_fit_tries(tmp_path: Path) -> None:
    plan = plan_of(36, algorithm="tpe")  # twelve of each: the sampler is past its random beginning
    with open_sweep(tmp_path / "alike", plan) as sweep:
        alike = run(sweep, ALIKE)
    assert Tuner.fits.pop() == (0.0, list(range(36)))
    with open_sweep(tmp_path / "packed", plan) as sweep:
        packed = run(sweep, PACKED)
    assert packed == alike
    assert Tuner.fits == [(1.0, list(range(1, 36, 3))), (0.125, [n for n in range(36) if n % 3 != 1])]


@pytest.mark.parametrize("interrupted_in", [4, 5])
def test_a_sweep_goes_on_in_the_fit_in_which_it_was_interrupted(tmp_path: Path, interrupted_in: int) -> None:
    plan = plan_of(12)
    with open_sweep(tmp_path / "whole", plan) as sweep:
        whole = run(sweep, PACKED)
    Tuner.interrupted_in = interrupted_in
    with open_sweep(tmp_path / "s", plan) as sweep:
        with pytest.raises(Interrupted):
            run(sweep, PACKED)
        sweep.append(SweepEnded(state="interrupted", reason=""))
    Tuner.fits = []
    with open_sweep(tmp_path / "s") as sweep:
        sweep.append(SweepResumed(plan=plan, plan_digest="", slots=8, device="cuda", versions={}, git={}))
        assert run(sweep, PACKED) == whole
        assert [len(trial.epochs) for trial in sweep.state.trials.values()] == [EPOCHS] * 12
    small = (0.125, [0, 2, 3, 5, 6, 8, 9, 11])
    assert Tuner.fits == ([(1.0, [4, 7, 10]), small] if interrupted_in == 4 else [(0.125, small[1][3:])])


def test_a_sweep_goes_on_where_all_have_one_size_now(tmp_path: Path) -> None:
    plan = plan_of(12)
    Tuner.interrupted_in = 7
    with open_sweep(tmp_path / "s", plan) as sweep, pytest.raises(Interrupted):
        run(sweep, PACKED)
    Tuner.fits = []
    with open_sweep(tmp_path / "s") as sweep:
        found = run(sweep, ALIKE)
        assert Tuner.fits == [(0.0, [7, 0, 2, 3, 5, 6, 8, 9, 10, 11])]
        assert [found[number][0] for number in range(12)] == [*NAMES] * 4
    Tuner.fits = []
    with open_sweep(tmp_path / "s") as sweep:
        run(sweep, ALIKE)
        assert Tuner.fits == [(0.0, [])], "one fit, whatever is left"
        run(sweep, PACKED)
        assert len(Tuner.fits) == 1, "no group has anything to do"


@pytest.mark.parametrize(
    ("broken", "fits"),
    [
        ("resnet_vit", [(1.0, [1, 4, 7]), (0.125, [0, 2, 3, 5, 6, 8, 9, 11, 12, 14]), (0.125, [10, 13])]),
        ("small", [(1.0, [1, 4, 7, 10, 13]), (0.125, [0, 2, 3, 5, 6, 8]), (1.0, [9, 11, 12, 14])]),
    ],
)
def test_what_a_given_up_architecture_leaves_goes_to_other_sizes(
    tmp_path: Path, broken: str, fits: list[tuple[float, list[int]]]
) -> None:
    Tuner.fault = lambda name: "no kernel image" if (name == "resnet_vit") == (broken == "resnet_vit") else ""
    with open_sweep(tmp_path / "s", plan_of(15)) as sweep:
        run(sweep, PACKED)
        assert len(sweep.state.given_up) == (1 if broken == "resnet_vit" else 2)
    assert Tuner.fits == fits


def test_a_grid_at_its_end_leaves_the_rest_to_other_sizes(tmp_path: Path) -> None:
    plan = plan_of(8, algorithm="grid")
    few = {"batch_size": Choice(choices=(8, 16), default=16)}
    more = {"batch_size": Choice(choices=(8, 16, 32, 64, 128), default=16)}
    plan = plan.model_copy(update={"architectures": {"resnet_vit": more, "baseline_cnn": few}})
    with open_sweep(tmp_path / "s", plan) as sweep:
        found = run(sweep, Slots(8, 1, 1.0, 1, shares={"resnet_vit": 1.0, "baseline_cnn": 0.5}))
    assert [name for name, *_ in found.values()].count("resnet_vit") == 5
    assert Tuner.fits == [(1.0, [0, 2, 4, 6]), (0.5, [1, 3]), (1.0, [5]), (0.5, [])]


def test_a_time_budget_is_shared_by_sizes_and_what_one_leaves_the_others_get(tmp_path: Path) -> None:
    plan = plan_of(12, budget__time_s=60.0)
    with open_sweep(tmp_path / "s", plan) as sweep:
        for name in NAMES:
            sweep.append(checked(name, step_s=2.0 if name == "resnet_vit" else 4.0))
        large, small = groups_of(plan, PACKED)
        assert part_of_time(sweep.state, PACKED, large) == pytest.approx(2.0 / (2.0 + 2 * 4.0 / 8))
        assert part_of_time(sweep.state, PACKED, small) == 1.0
        parts: list[float] = []

        class Slow(Stopping):
            def allot(self, part: float) -> None:
                parts.append(part)
                super().allot(0.0 if len(parts) == 1 else part)  # the first has had its part at once

        found = run(sweep, PACKED, Slow(60.0))
    assert parts == [pytest.approx(2 / 3), 1.0, 1.0]
    assert Tuner.fits == [(1.0, []), (0.125, [0, 2, 3, 5, 6, 8, 9, 11]), (1.0, [1, 4, 7, 10])]
    assert {state for *_, state in found.values()} == {"completed"}


def test_the_smallest_card_decides_what_each_architecture_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda process: range(12))
    slots = packed_slots({"large": 14_000.0, "small": 1000.0}, [80_000.0, 40_000.0], partial(find_slots, None, 2))
    assert slots == Slots(12, 1, 0.5, 2, shares={"large": 0.5, "small": 0.125})
    assert (slots.at_once("large"), slots.at_once("small")) == (4, 12)
    one_card = packed_slots({"large": 14_000.0, "small": 1000.0}, [80_000.0], partial(find_slots, None, 1))
    assert one_card.shares == {"large": 0.25, "small": 0.125}
    alike = packed_slots({"one": 1000.0, "other": 1100.0}, [80_000.0], partial(find_slots, None, 1))
    assert alike == Slots(8, 1, 0.125, 1), "as if there were one architecture"
    assert groups_of(make_plan(), alike)[0].gpu_share == 0.125


@pytest.mark.parametrize(
    ("allocation", "asked", "shares"),
    [
        ("equal", {}, {"generic_cnn": 0.125, "resnet_vit": 0.5, "baseline_cnn": 1.0}),
        ("adaptive", {}, {}),
        ("equal", {"slots": 2}, {}),
        ("equal", {"gpu_share": 0.5}, {}),
    ],
)
def test_auto_measures_each_architecture(
    monkeypatch: pytest.MonkeyPatch, allocation: str, asked: dict[str, Any], shares: dict[str, float]
) -> None:
    monkeypatch.setattr(preflight, "gpu_memories_mib", lambda: [80_000.0])
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda process: range(32))
    plan, given = plan_of(12, search__allocation=allocation), resources.find_slots(asked.get("slots"), 1, 0.5)
    events = [checked("generic_cnn", 1.0, 1000.0), checked("resnet_vit", 4.0, 30_000.0), checked("baseline_cnn", 2.0)]
    request: Any = SimpleNamespace(**{"slots": None, "gpu_share": None, "max_disk_bytes": None, **asked})
    planned = PlannedSweep(plan, Path(), None, given)  # type: ignore[arg-type]
    slots = with_packed_slots(planned, request, events).slots
    assert slots.shares == shares
    assert slots.gpu_share == (0.5 if asked else 1.0), "one that was not measured gets a whole GPU"
    if shares:
        forecast = PreparedSweep(request, PlannedSweep(plan, Path(), None, slots), events).forecast  # type: ignore[arg-type]
        assert forecast.most_s == pytest.approx(4 * EPOCHS * (1.0 / 8 + 4.0 / 2 + 2.0))


def test_each_size_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with open_sweep(tmp_path / "s", plan_of(3)) as sweep:
        monkeypatch.setattr(sweep, "tell", told.append)
        run(sweep, PACKED)
    assert told == [
        "a whole GPU for each trial of resnet_vit",
        "1/8 of a GPU for each trial of generic_cnn, baseline_cnn",
    ]
